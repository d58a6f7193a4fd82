"""
Sync a file, and hash it if needed, while a child checks it.

The child first makes its changes. On a pipe it then reports whether there were any: at once, or
if several processes check, when one of them has nothing left to do.
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
    Sync the open file, and hash it once the child will not modify it again, in a thread that runs
    beside the block.

    Always ask for the result after the block: the system reports a failed sync only once.

    :param is_known: the hash is known unless the child changes the file.
    :returns: the child's end of a pipe, for ``tell_settled``, and the SHA-256: None if it is the
        known one, or if the child reported nothing.
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
                os.write(tell, OVER)  # a child that still runs may hold its end open
                os.close(tell)
    finally:
        os.close(told)


def _sync_and_hash(descriptor: int, path: Path, told: int, is_known: bool) -> str | None:
    files.sync(descriptor)  # the sync at the end is the durable one; this makes it short
    word = os.read(told, 1)
    if word == CHANGED or (word == UNCHANGED and not is_known):
        return files.sha256(path)
    return None
