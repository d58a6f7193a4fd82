"""
How many snapshots are under way: each takes a turn, a lock on one byte of the lock file.

The limit holds over all processes of one machine that share the database. A lock ends with its
process, so a turn can't be left behind. Where the system has no locks on ranges of open file
descriptions (any but Linux) there is no limit.
"""

import logging
import os
from collections.abc import Iterator

from backups.exceptions import StoreFolderError, TooManySnapshotsError
from backups.lock_holders import describe_holders
from backups.sqlite import locks
from backups.sqlite.lock_file import open_lock
from backups.sqlite.ownership import may_write
from backups.sqlite.paths import StorePaths
from backups.store import PassedOn, Snapshot

logger = logging.getLogger(__name__)


def take_turn(paths: StorePaths, *, at_once: int) -> int:
    """
    Take the first turn that is free. Never waits.

    :param at_once: how many there are.
    :returns: a descriptor; closing it gives the turn back.
    :raises TooManySnapshotsError: none is free.
    :raises StoreFolderError: the lock file can't be opened.
    """
    try:
        descriptor = open_lock(paths.lock, owner_of=paths.database)
    except OSError as error:
        if paths.lock.exists() and not may_write(paths):
            # It is closed to who may only read here, and so has no locks to take, and no turns.
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        raise StoreFolderError(
            f"The lock file {paths.lock} can't be used: {error.strerror}."
        ) from error
    if any(locks.try_turn(descriptor, number) for number in range(at_once)):
        return descriptor
    if locks.is_read_locked(descriptor):
        # By a stranger: the limit is lost rather than every backup.
        logger.warning(
            "%s is locked by %s, so that no limit holds on snapshots at once. End that process.",
            paths.lock,
            describe_holders(paths.lock, but=os.getpid(), at=locks.FIRST_TURN),
        )
        return descriptor
    os.close(descriptor)
    raise TooManySnapshotsError(
        f"{at_once} snapshots of {paths.database.name} are under way, which is the limit."
    )


class SnapshotInTurn(PassedOn):
    """A snapshot that gives its turn back when it is closed."""

    def __init__(self, snapshot: Snapshot, turn: int) -> None:
        """Takes over both."""
        super().__init__(snapshot)
        self._turn: int | None = turn

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._snapshot)

    def close(self) -> None:
        try:
            self._snapshot.close()
        finally:
            if self._turn is not None:
                os.close(self._turn)
                self._turn = None

    def __del__(self) -> None:
        """Of one that nobody has closed: an ASGI server drops the answer to who has hung up."""
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None
            self.abandon()
