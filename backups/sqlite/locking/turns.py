"""
Limit how many snapshots, and how many uploads and checks, are under way: each takes a turn, which
is a lock on one byte of the lock file.

The limits hold for all processes of one machine that share the database. A lock ends with its
process, so no turn can be left behind. Other systems than Linux, which lack such locks, have no
limit.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from backups.disk.lock_holders import describe_holders
from backups.exceptions import StoreFolderError, TooManySnapshotsError, TooManyUploadsError
from backups.sqlite.folder.ownership import may_write
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking import locks
from backups.sqlite.locking.lock_file import open_lock
from backups.store import PassedOn, Snapshot

FIRST_UPLOAD = 1 << 20  # the numbers below it are the snapshots' turns

logger = logging.getLogger(__name__)


def take_turn(paths: StorePaths, *, at_once: int) -> int:
    """
    Take the first free turn of ``at_once`` for snapshots. Never waits.

    :returns: a descriptor; closing it gives the turn back.
    :raises TooManySnapshotsError: none is free.
    :raises StoreFolderError: the lock file can't be opened.
    """
    if (descriptor := _take(paths, range(at_once))) is not None:
        return descriptor
    raise TooManySnapshotsError(
        f"{at_once} snapshots of {paths.database.name} are under way, which is the limit."
    )


class UploadTurn:
    """The turn of one upload, or of one check, until it is closed."""

    def __init__(self, paths: StorePaths, *, at_once: int) -> None:
        """As ``take_turn``, for uploads: raises TooManyUploadsError if none is free."""
        self._descriptor = _take(paths, range(FIRST_UPLOAD, FIRST_UPLOAD + at_once))
        if self._descriptor is None:
            raise TooManyUploadsError(
                f"{at_once} uploads or checks for {paths.database.name} are under way, which is"
                " the limit."
            )

    def close(self) -> None:
        """Give the turn back. May be called more than once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError):  # the turn was refused
            self.close()


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
            self._give_back()

    def __del__(self) -> None:
        """For one that was not closed: an ASGI server drops its answer when the client hangs up."""
        if self._turn is not None:
            self._give_back()
            self.abandon()

    def _give_back(self) -> None:
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None


def _take(paths: StorePaths, numbers: range) -> int | None:
    """A descriptor that holds the first free one of these turns; None if none is free."""
    try:
        descriptor = open_lock(paths.lock, owner_of=paths.database)
    except OSError as error:
        if paths.lock.exists() and not may_write(paths):
            # A user who may only read here can't open it, and needs no turn.
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        raise StoreFolderError(
            f"The lock file {paths.lock} can't be used: {error.strerror}."
        ) from error
    try:
        if any(locks.try_turn(descriptor, number) for number in numbers):
            return descriptor
        if locks.is_read_locked(descriptor):
            # A stranger's lock: rather lose the limit than every backup.
            logger.warning(
                "%s is locked by %s, so the limit on snapshots and uploads does not hold."
                " End that process.",
                paths.lock,
                describe_holders(paths.lock, but=os.getpid(), at=locks.FIRST_TURN),
            )
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
