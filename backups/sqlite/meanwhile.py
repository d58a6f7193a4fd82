"""
What can be done to a file while a child checks it: its sync, and its hash if that is not known.

The child first changes what it has to, then says on a pipe whether it did, then checks.
"""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from backups import files

UNCHANGED, CHANGED = b"0", b"1"  # what the child says once the file is as it will stay


@contextlib.contextmanager
def synced_and_hashed(
    descriptor: int, path: Path, *, is_known: bool
) -> Iterator[tuple[int, "Future[str | None]"]]:
    """
    Sync the file, and hash it once it is as it will stay, in a thread beside the block.

    A sync that failed must not be forgotten: the system tells of it once. So ask for the result.

    :param descriptor: the open file; ``path`` is its name.
    :param is_known: its hash is known already, if it is not changed.
    :returns: the end of a pipe for the child that tells, and the SHA-256, which is there after
        the block: None if it is the known one, or if the child said nothing.
    """
    told, tell = os.pipe()
    with ThreadPoolExecutor(1, "meanwhile") as thread:
        try:
            yield tell, thread.submit(_sync_and_hash, descriptor, path, told, is_known)
        finally:
            os.close(tell)  # whoever still waits to be told is told nothing
    os.close(told)


def tell_settled(pipe: int, *, changed: bool) -> None:
    """
    Say, in the child, that it changes the file no more. Does nothing without a pipe (-1).

    The pipe stays open: the number of a closed one could be used to open another file.
    """
    if pipe >= 0:
        os.write(pipe, CHANGED if changed else UNCHANGED)


def _sync_and_hash(descriptor: int, path: Path, told: int, is_known: bool) -> str | None:
    files.sync(descriptor)  # not for durability, which wants one at the end: that will be short
    word = os.read(told, 1)
    if word == CHANGED or (word == UNCHANGED and not is_known):
        return files.sha256(path)
    return None
