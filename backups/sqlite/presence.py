"""
Who has the database open: a lock file beside it, on which every process of the site holds a lock.

    users      a read lock on one byte of their own, for their life
    an applier a write lock on everything: it is alone, and nobody comes in meanwhile

A restore may replace the database only while its process is alone: writes of a process that
still has the old file open would be accepted and lost. The locks end with their process, also
by kill -9, so there are no stale ones; the lock file itself stays.

Source: https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
"""

import contextlib
import errno
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

from backups.sqlite import locks


@dataclass(frozen=True)
class Holder:
    """Another process that has the database open."""

    pid: int
    command: str  # empty when the system does not tell, e.g. in another container

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})" if self.command else f"pid {self.pid}"


class Presence:
    """
    This process's hold on one database: outside, present (shared with others), or alone.

    Forked children get a hold of their own, without a gap.
    """

    def __init__(self, lock: Path, *, owner_of: Path | None = None) -> None:
        """Nothing is opened or locked yet. ``owner_of``: whose owner a new lock file gets."""
        self._lock = lock
        self._owner_of = owner_of
        self._descriptor: int | None = None
        self._is_alone = False
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
        Become present. Waits while an applier is at work, however long that takes.

        Does nothing if this process is present already.

        :raises OSError: if the lock file can't be opened, e.g. in a read-only folder.
        """
        if self._descriptor is None:
            descriptor = _open_lock(self._lock, self._owner_of)
            locks.share(descriptor)
            self._descriptor = descriptor

    def try_alone(self) -> bool:
        """
        Become alone if nobody else is present; never waits. Present stays present on failure.

        :raises OSError: if the lock file can't be opened.
        """
        if self._descriptor is not None:
            self._is_alone = locks.try_exclusive(self._descriptor, keep_shared=True)
            return self._is_alone
        descriptor = _open_lock(self._lock, self._owner_of)
        try:
            if locks.try_exclusive(descriptor, keep_shared=False):
                self._descriptor, self._is_alone = descriptor, True
        finally:
            if not self._is_alone:
                os.close(descriptor)
        return self._is_alone

    def share(self) -> None:
        """From alone to present, with never a moment of neither."""
        assert self._descriptor is not None
        locks.step_down(self._descriptor)
        self._is_alone = False

    def leave(self) -> None:
        """Let go. Does nothing if nothing is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self._is_alone = None, False

    def others(self) -> list[Holder]:
        """Who else is present, as far as the system tells. Reads only."""
        if self._descriptor is None:
            return []
        return [Holder(pid, _command(pid)) for pid in sorted(locks.holders(self._descriptor))]

    def everybody(self) -> list[Holder]:
        """Who is present, this process included if it is. Reads only."""
        if self._descriptor is None:
            return []
        return [Holder(os.getpid(), _command(os.getpid())), *self.others()]

    def _rejoin_after_fork(self) -> None:
        """
        Swap the inherited descriptor for one of our own; the inherited lock covers the gap.

        A child of a process that is alone keeps the inherited one: it would wait for its parent,
        which may be waiting for it. It then counts as present under its parent's pid.
        """
        if self._descriptor is None or self._is_alone:
            return
        inherited = self._descriptor
        try:
            self._descriptor = _open_lock(self._lock, self._owner_of)
            locks.share(self._descriptor)
        except OSError:
            self._descriptor = inherited  # the parent's hold, rather than none
        else:
            os.close(inherited)


_presences: "weakref.WeakSet[Presence]" = weakref.WeakSet()


def _rejoin_all_after_fork() -> None:
    for presence in list(_presences):
        presence._rejoin_after_fork()


os.register_at_fork(after_in_child=_rejoin_all_after_fork)


def _open_lock(path: Path, owner_of: Path | None) -> int:
    """Open the lock file, creating it if need be, and make sure that the name is still ours."""
    while True:
        descriptor = _open_or_create(path, owner_of)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)


def _open_or_create(path: Path, owner_of: Path | None) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _create(path, owner_of)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough to be present, not to apply


def _create(path: Path, owner_of: Path | None) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if owner_of is not None:
        with contextlib.suppress(OSError):  # not ours to give away: others then see their own error
            like = os.stat(owner_of)
            os.fchmod(descriptor, like.st_mode & 0o666)
            if os.geteuid() == 0:  # or the server could not open what root's command made
                os.fchown(descriptor, like.st_uid, like.st_gid)
    return descriptor


def _command(pid: int) -> str:
    """The command line of a process of our own namespace."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            return cmdline.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
