"""Locks with a name, for work that must not be done twice at once: each is a byte to lock."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backups.exceptions import BusyError, StoreFolderError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking import locks
from backups.sqlite.locking.lock_file import open_lock

FIRST_NAMED = 1 << 32  # above all numbered turns
FIRST_OUTSIDE = locks.OUTSIDE - locks.FIRST_TURN


@contextmanager
def named_lock(
    paths: StorePaths, name: str, *, wait: bool, outside: bool = False
) -> Iterator[Callable[[], bool]]:
    """
    Hold the lock for the block. It ends with the process, however that ends.

    Two names that share a byte (one pair in four thousand million) exclude each other too.

    :param outside: it does not keep a start from applying a restore.
    :raises BusyError: another process or thread holds it, and ``wait`` is false.
    :raises StoreFolderError: the lock file can't be opened.
    """
    first = FIRST_OUTSIDE if outside else FIRST_NAMED
    number = first + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    try:
        descriptor = open_lock(paths.lock, owner_of=paths.database)
    except OSError as error:
        raise StoreFolderError(
            f"The lock file {paths.lock} can't be used: {error.strerror}."
        ) from error
    try:
        if wait:
            locks.wait_for_turn(descriptor, number)
        elif not locks.try_turn(descriptor, number):
            raise BusyError(f"Another process is at the same work for {paths.database}: {name}.")
        yield lambda: True
    finally:
        os.close(descriptor)
