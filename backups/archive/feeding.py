"""
An upload on its way from the process that receives it to the job that checks it, through a pipe.

Each chunk is preceded by its length, in four bytes; a length of zero is the end. A pipe that ends
without it shows that the upload broke off, even if its sender was killed.
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO

from backups.exceptions import UploadInterruptedError

LENGTH = struct.Struct(">I")
END = LENGTH.pack(0)


def feed(pipe: IO[bytes], chunks: Iterable[bytes]) -> None:
    """
    Pass the chunks on, and the end. Closes the pipe. Stops early if nobody reads any more: the job
    has ended, and its error says why.

    An error of ``chunks`` passes through; the reader then sees that the end is missing.
    """
    with suppress(BrokenPipeError), pipe:
        for chunk in filter(None, chunks):
            pipe.write(LENGTH.pack(len(chunk)))
            pipe.write(chunk)
        pipe.write(END)


def fed(pipe: IO[bytes]) -> Iterator[bytes]:
    """The chunks. :raises UploadInterruptedError: the pipe ended before the upload did."""
    received = 0
    while length := _length(pipe.read(LENGTH.size), received):
        chunk = pipe.read(length)
        received += len(chunk)
        if len(chunk) < length:
            raise _broken(received)
        yield chunk


def _length(head: bytes, received: int) -> int:
    if len(head) < LENGTH.size:
        raise _broken(received)
    (length,) = LENGTH.unpack(head)
    return int(length)


def _broken(received: int) -> UploadInterruptedError:
    return UploadInterruptedError(
        f"The upload ended after {received:,} bytes, before it was whole."
    )
