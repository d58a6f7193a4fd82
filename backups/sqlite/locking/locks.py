"""
Shared and exclusive locks on an open file, which end with the file description, never earlier.

POSIX locks won't do: closing *any* descriptor of the file drops them. On Linux these are open
file description locks. A sharer holds one byte, chosen by its pid, so that the sharers can be
listed; a failed try for all of them keeps the shared lock. Elsewhere it is flock(2), which
can't tell who holds it, and loses the shared lock while it tries for the exclusive one.

Sources: fcntl(2), "Open file description locks (non-POSIX)"; flock(2).
"""

import binascii
import errno
import fcntl
import os
import struct
import sys

FIRST_SLOT = 1 << 40  # far above any byte that somebody might lock by hand
FIRST_TURN = 1 << 39  # below every slot, so that no turn looks like a sharer
PIDS = 1 << 23  # twice Linux's largest pid, so that each pid namespace has its own range
# Behind the exclusive lock: for a process that does not use the database, and is in nobody's way.
OUTSIDE = FIRST_SLOT + (1 << 16) * PIDS
_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid, padded to 8 bytes

if sys.platform == "linux":

    def try_share(descriptor: int) -> bool:
        """Take the shared lock, unless another has the exclusive one; never waits."""
        return _try(descriptor, fcntl.F_RDLCK, _own_slot(), 1)

    def try_exclusive(descriptor: int, *, keep_shared: bool) -> bool:
        """
        Take the exclusive lock if nobody else has any, but for those ``OUTSIDE``; never waits.

        :param keep_shared: the descriptor has the shared lock, and must keep it if this fails.
        :raises PermissionError: the file was opened for reading only, as it may not be written.
        """
        try:
            return _try(descriptor, fcntl.F_WRLCK, 0, OUTSIDE)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error
            raise

    def try_turn(descriptor: int, number: int) -> bool:
        """Take turn 0, 1 … if it is free; never waits. Always True on a read-only descriptor."""
        try:
            return _try(descriptor, fcntl.F_WRLCK, FIRST_TURN + number, 1)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
        return True

    def wait_for_turn(descriptor: int, number: int) -> None:
        """Take this turn as soon as it is free. Returns at once on a read-only descriptor."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, FIRST_TURN + number, 1, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, asked)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise

    def is_read_locked(descriptor: int) -> bool:
        """Whether a process has a shared lock on a turn: a stranger, since snapshots never do."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, FIRST_TURN, 1, 0)
        return _answer(descriptor, asked)[0] == fcntl.F_RDLCK

    def step_down(descriptor: int) -> None:
        """From exclusive to shared, without a gap."""
        slot = _own_slot()
        _set(descriptor, fcntl.F_RDLCK, slot, 1)
        _set(descriptor, fcntl.F_UNLCK, 0, slot)
        _set(descriptor, fcntl.F_UNLCK, slot + 1, OUTSIDE - slot - 1)

    def holders(descriptor: int) -> set[int]:
        """
        The pids of all other sharers. Reads only.

        The kernel names any conflicting lock, not the first, so the ranges on both sides of each
        find are searched again.
        """
        found: set[int] = set()
        ranges = [(FIRST_SLOT, OUTSIDE)]
        while ranges:
            start, end = ranges.pop()
            if (hit := _conflict(descriptor, start, end)) is not None:
                first, after = max(hit[0], start), min(hit[1], end)
                if after - first == 1:  # a sharer's byte; the exclusive lock spans everything
                    found.add((first - FIRST_SLOT) % PIDS)
                ranges += [(a, b) for a, b in ((start, first), (after, end)) if a < b]
        return found

    def _set(descriptor: int, kind: int, start: int, length: int) -> None:
        asked = struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, asked)

    def _try(descriptor: int, kind: int, start: int, length: int) -> bool:
        try:
            _set(descriptor, kind, start, length)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def _answer(descriptor: int, asked: bytes) -> tuple[int, int, int, int, int]:
        """A conflicting lock, as a struct flock."""
        found: tuple[int, int, int, int, int] = struct.unpack(
            _FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        )
        return found

    def _conflict(descriptor: int, start: int, end: int) -> tuple[int, int] | None:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, end - start, 0)
        kind, _, first, length, _ = _answer(descriptor, asked)
        if kind == fcntl.F_UNLCK:
            return None
        return first, (first + length if length else end)  # 0 reaches to infinity: fcntl(2)

    def _own_slot() -> int:
        """Equal pids of two containers get separate bytes."""
        try:
            namespace = str(os.stat("/proc/self/ns/pid").st_ino)
        except OSError:  # no /proc here
            namespace = ""
        return FIRST_SLOT + binascii.crc_hqx(namespace.encode(), 0) * PIDS + os.getpid()

else:

    def try_share(descriptor: int) -> bool:
        """Take the shared lock, unless another has the exclusive one; never waits."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_exclusive(descriptor: int, *, keep_shared: bool) -> bool:
        """Take the exclusive lock if nobody else has any; ``keep_shared`` as on Linux."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if keep_shared:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            return False
        return True

    def try_turn(descriptor: int, number: int) -> bool:
        """Always True: flock(2) can only lock the whole file."""
        return True

    def wait_for_turn(descriptor: int, number: int) -> None:
        """Returns at once, as ``try_turn``."""

    def is_read_locked(descriptor: int) -> bool:
        """Not known: flock(2) does not tell."""
        return False

    def step_down(descriptor: int) -> None:
        """From exclusive to shared."""
        fcntl.flock(descriptor, fcntl.LOCK_SH)

    def holders(descriptor: int) -> set[int]:
        """Not known: flock(2) does not tell."""
        return set()
