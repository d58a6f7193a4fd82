"""
An upload on its way from a worker, which has the client's connection, to the process of its job.

It goes through the job's standard input, in pieces: the length in 4 bytes, then so many bytes. A
length of 0 is the end. So a worker that is killed leaves an upload that is known not to be whole.
"""

import os
import select
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from backups.disk import files
from backups.exceptions import UploadInterruptedError

LENGTH_BYTES = 4
PIECE_BYTES = 1024 * 1024  # 1 MiB: the most in one piece
LOOK_SECONDS = 0.25  # the longest wait for a slow client between two looks
STDIN = 0


def feed(pipe: IO[bytes], chunks: Iterable[bytes]) -> bool:
    """
    Pass an upload on, and close the pipe.

    :returns: whether all was taken; False if the process has ended before, and the rest is unread.
    :raises Exception: an error of the chunks. The process sees that the upload is not whole.
    """
    with pipe:
        for chunk in chunks:
            for start in range(0, len(chunk), PIECE_BYTES):
                if not _pass_on(pipe, chunk[start : start + PIECE_BYTES]):
                    return False
        return _pass_on(pipe, b"")


def _pass_on(pipe: IO[bytes], piece: bytes) -> bool:
    try:
        files.write_all(pipe.fileno(), len(piece).to_bytes(LENGTH_BYTES) + piece)
    except BrokenPipeError:
        return False
    return True


def received(look: Callable[[], None], *, descriptor: int = STDIN) -> Iterator[bytes]:
    """
    The upload, in the process of the job.

    :param look: called before each read, and now and then while nothing comes; what it raises ends
        the upload.
    :raises UploadInterruptedError: it ends, and is not whole.
    """
    while left := int.from_bytes(b"".join(_read(descriptor, LENGTH_BYTES, look))):
        if left > PIECE_BYTES:
            raise _interrupted()
        yield from _read(descriptor, left, look)


def _read(descriptor: int, left: int, look: Callable[[], None]) -> Iterator[bytes]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while left:
        look()
        if not poll.poll(LOOK_SECONDS * 1000):
            continue
        if not (some := os.read(descriptor, left)):
            raise _interrupted()
        left -= len(some)
        yield some


def _interrupted() -> UploadInterruptedError:
    return UploadInterruptedError("The upload ended before it was whole.")
