"""
Who has the database open: a lock file beside it, on which every process of the site holds a lock.

    users      a read lock on their own byte, for their life
    an applier a write lock on everything: it is alone, and nobody can join

A restore may replace the database only while its process is alone: a process that still has the old
file open would accept writes and lose them. The locks end with their process, also after kill -9,
so there are no stale ones; the lock file itself stays.

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
    command: str  # the program's name; empty if it is not known, e.g. in another container

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})" if self.command else f"pid {self.pid}"


class Presence:
    """
    This process's hold on one database: outside, present (shared with others), or alone.

    A forked child gets a separate hold, without a gap. If it can't, or Python does not see the fork
    (in C), it shares its parent's: it is present under the parent's pid, and never alone.
    """

    def __init__(self, lock: Path, *, owner_of: Path | None = None) -> None:
        """Opens and locks nothing yet. ``owner_of``: as for ``open_lock``."""
        self._lock = lock
        self._owner_of = owner_of
        self._descriptor: int | None = None
        self._is_alone = False
        self._taken_by = 0  # the pid that took the hold: another process's if it was inherited
        _presences.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this process is present or alone."""
        return self._descriptor is not None

    @property
    def descriptor(self) -> int | None:
        """It holds the lock; a child that inherits it holds the lock too, while it lives."""
        return self._descriptor

    def join(self) -> None:
        """
        Become present, unless this process is already. Waits while an applier is at work, however
        long that takes, since the file is about to be replaced. The log says what it waits for.

        :raises OSError: the lock file can't be opened, e.g. in a read-only folder.
        """
        if self._descriptor is None:
            descriptor = open_lock(self._lock, self._owner_of)
            _share(descriptor, self._lock)
            self._descriptor, self._taken_by = descriptor, os.getpid()

    def try_alone(self) -> bool:
        """
        Become alone if nobody else is present; never waits. If that fails, a process that was
        present still is.

        :raises OSError: the lock file can't be opened.
        """
        if self._descriptor is not None:
            if self._is_inherited:
                return False  # the parent is present with the same lock, which would not refuse
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
        From alone to present, without a gap. If the system is out of locks it leaves and joins,
        which is safe before it has opened the database.

        :raises OSError: joining failed too; this process is outside.
        """
        assert self._descriptor is not None
        try:
            if not self._is_inherited:  # or the parent, which is at work, would step down
                locks.step_down(self._descriptor)
        except OSError:
            self.leave()
            self.join()
        self._is_alone = False

    def leave(self) -> None:
        """Release the hold, if there is one."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self._is_alone = None, False

    def others(self) -> list[Holder]:
        """Who else is present, as far as the system tells. Reads only."""
        if self._descriptor is None:
            return []
        pids = locks.holders(self._descriptor)
        if self._is_inherited:
            pids.add(self._taken_by)  # the system does not list a process's own lock
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
        """Replace the inherited descriptor by a new one; the inherited lock covers the gap."""
        if self._descriptor is None or self._is_alone:
            return  # a parent that is alone may wait for this child: do not wait for the parent
        inherited = self._descriptor
        try:
            descriptor = open_lock(self._lock, self._owner_of)
            _share(descriptor, self._lock)
        except OSError:
            return  # sharing the parent's hold is better than none
        self._descriptor, self._taken_by = descriptor, os.getpid()
        os.close(inherited)


def _share(descriptor: int, lock: Path) -> None:
    """Take the shared lock. While it waits, log from time to time which process it waits for."""
    began, pause, told = time.monotonic(), SHORTEST_PAUSE, TELL_AFTER_SECONDS
    while not locks.try_share(descriptor):
        if time.monotonic() - began >= told:
            logger.warning(
                "waiting for %s, which has %s locked to apply a restore. If it hangs, end it: the"
                " next start finishes or undoes what it was doing.",
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
