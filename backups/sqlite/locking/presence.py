"""
Who has the database open: a lock file beside it, on which every process of the site holds a lock.

    users      a read lock on their own byte, for their life
    an applier a write lock on everything: it is alone, and nobody can join

A restore may replace the database only while its process is alone: writes of a process that
still has the old file open would be accepted and lost. The locks end with their process, also
by kill -9, so there are no stale ones; the lock file itself stays.

Source: https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
"""

import logging
import os
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from backups.disk.lock_holders import describe_holders
from backups.processes.process_name import name_of
from backups.sqlite.locking import locks
from backups.sqlite.locking.lock_file import open_lock

SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.05  # seconds between two tries
TELL_AFTER_SECONDS, TELL_EVERY_SECONDS = 5.0, 60.0  # most appliers need less than a second

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Another process that has the database open."""

    pid: int
    command: (
        str  # the program's name; empty when the system does not tell, e.g. in another container
    )

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})" if self.command else f"pid {self.pid}"


class Presence:
    """
    This process's hold on one database: outside, present (shared with others), or alone.

    Forked children get their own hold, without a gap. One that can't, or whose fork Python
    does not see (a fork in C), shares its parent's: it is present under the parent's pid,
    and never alone.
    """

    def __init__(self, lock: Path, *, owner_of: Path | None = None) -> None:
        """Nothing is opened or locked yet. ``owner_of``: whose owner a new lock file gets."""
        self._lock = lock
        self._owner_of = owner_of
        self._descriptor: int | None = None
        self._is_alone = False
        self._taken_by = 0  # the pid whose hold it is; not ours if we inherited it
        _presences.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this process is present or alone."""
        return self._descriptor is not None

    @property
    def descriptor(self) -> int | None:
        """What holds the lock. A child that inherits it holds the lock too, while it lives."""
        return self._descriptor

    def join(self) -> None:
        """
        Become present. Waits while an applier is at work, however long that takes: to go on
        would be to write into a file that is about to be replaced. The log says what it waits for.

        Does nothing if this process is present already.

        :raises OSError: if the lock file can't be opened, e.g. in a read-only folder.
        """
        if self._descriptor is None:
            descriptor = open_lock(self._lock, self._owner_of)
            _share(descriptor, self._lock)
            self._descriptor, self._taken_by = descriptor, os.getpid()

    def try_alone(self) -> bool:
        """
        Become alone if nobody else is present; never waits. Present stays present on failure.

        :raises OSError: if the lock file can't be opened.
        """
        if self._descriptor is not None:
            if self._is_inherited:
                return False  # the parent is present by this same lock, which would not refuse us
            self._is_alone = locks.try_exclusive(self._descriptor, keep_shared=True)
            return self._is_alone
        descriptor = open_lock(self._lock, self._owner_of)
        try:
            if locks.try_exclusive(descriptor, keep_shared=False):
                self._descriptor, self._taken_by = descriptor, os.getpid()
                self._is_alone = True
        finally:
            if not self._is_alone:
                os.close(descriptor)
        return self._is_alone

    def share(self) -> None:
        """
        From alone to present, with never a moment of neither, unless the system is out of locks:
        then it leaves and joins, which is safe as long as it has not opened the database.

        :raises OSError: that failed as well; this process is outside.
        """
        assert self._descriptor is not None
        try:
            if not self._is_inherited:  # or it would be the parent, at work, that steps down
                locks.step_down(self._descriptor)
        except OSError:
            self.leave()
            self.join()
        self._is_alone = False

    def leave(self) -> None:
        """Release the hold. Does nothing if nothing is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self._is_alone = None, False

    def others(self) -> list[Holder]:
        """Who else is present, as far as the system tells. Reads only."""
        if self._descriptor is None:
            return []
        pids = locks.holders(self._descriptor)
        if self._is_inherited:
            pids.add(self._taken_by)  # the system does not list a lock to who has it
        return [Holder(pid, name_of(pid)) for pid in sorted(pids)]

    def everybody(self) -> list[Holder]:
        """Who is present, this process included if it is. Reads only."""
        if self._descriptor is None:
            return []
        return [Holder(os.getpid(), name_of(os.getpid())), *self.others()]

    @property
    def _is_inherited(self) -> bool:
        return self._descriptor is not None and self._taken_by != os.getpid()

    def _rejoin_after_fork(self) -> None:
        """
        Swap the inherited descriptor for one of our own; the inherited lock covers the gap.

        A child of a process that is alone keeps the inherited one: it would wait for its parent,
        which may be waiting for it.
        """
        if self._descriptor is None or self._is_alone:
            return
        inherited = self._descriptor
        try:
            descriptor = open_lock(self._lock, self._owner_of)
            _share(descriptor, self._lock)
        except OSError:
            return  # the parent's hold, rather than none
        self._descriptor, self._taken_by = descriptor, os.getpid()
        os.close(inherited)


def _share(descriptor: int, lock: Path) -> None:
    """Take the shared lock. While another process has it alone, say so from time to time."""
    began, pause, told = time.monotonic(), SHORTEST_PAUSE, TELL_AFTER_SECONDS
    while not locks.try_share(descriptor):
        if time.monotonic() - began >= told:
            logger.warning(
                "waiting for %s, which has %s locked to apply a restore. If it hangs, end it: what"
                " it was doing is finished or undone by the next start.",
                describe_holders(lock, but=os.getpid()),
                lock,
            )
            told += TELL_EVERY_SECONDS
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


_presences: "weakref.WeakSet[Presence]" = weakref.WeakSet()


def _rejoin_all_after_fork() -> None:
    for presence in list(_presences):
        presence._rejoin_after_fork()


os.register_at_fork(after_in_child=_rejoin_all_after_fork)
