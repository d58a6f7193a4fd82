"""
What can be done to a file while a child checks it: its sync, and its hash if that is not known.

The child first changes what it has to, and says on a pipe whether it did: at once, or when two
processes check and one of them has nothing left to do.
"""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from backups.disk import files
from backups.processes.spawn import starting_thread
from backups.sqlite.checking.messages import CHANGED, OVER, UNCHANGED


@contextlib.contextmanager
def synced_and_hashed(
    descriptor: int, path: Path, *, is_known: bool
) -> Iterator[tuple[int, "Future[str | None]"]]:
    """
    Sync the file, and hash it once it is as it will stay, in a thread beside the block.

    A sync that failed must not be forgotten: the system reports it only once. So
    ask for the result.

    :param descriptor: the open file; ``path`` is its name.
    :param is_known: its hash is known already, if it is not changed.
    :returns: the end of a pipe for the child that tells, and the SHA-256, which is there after
        the block: None if it is the known one, or if the child said nothing.
    :raises ChildNotStartedError: the system starts no thread.
    """
    told, tell = os.pipe()
    try:
        with ThreadPoolExecutor(1, "meanwhile") as thread:
            try:
                with starting_thread():
                    hashed = thread.submit(_sync_and_hash, descriptor, path, told, is_known)
                yield tell, hashed
            finally:
                os.write(tell, OVER)  # a child that lives on could hold its end open
                os.close(tell)
    finally:
        os.close(told)


def _sync_and_hash(descriptor: int, path: Path, told: int, is_known: bool) -> str | None:
    files.sync(descriptor)  # not for durability, which wants one at the end: that will be short
    word = os.read(told, 1)
    if word == CHANGED or (word == UNCHANGED and not is_known):
        return files.sha256(path)
    return None
