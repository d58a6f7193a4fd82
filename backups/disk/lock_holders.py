"""
Which processes hold a lock on a file, as far as the system tells. Reads only /proc.

The kernel lists a lock with the pid that took it. A lock on an open file description has no pid,
since several processes can share that. Those processes are found by their open files, which only
root and the same user may read.

Sources: proc_locks(5), proc_pid_fdinfo(5).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backups.processes.process_name import name_of

PROC = Path("/proc")
# Does not match lines with an arrow: those processes are waiting.
LOCK = re.compile(
    r"^(?:lock:\s*)?\d+: [A-Z]+ +[A-Z]+ +[A-Z]+ +(-?\d+) (\S+) (\d+) (\d+|EOF)", re.MULTILINE
)


def describe_holders(*paths: Path, but: int | None = None, at: int | None = None) -> str:
    """
    Describe who holds a lock on one of these files, e.g. ``pid 123 (sqlite3), pid 456``.

    If the system names nobody, the text says how root can find out.

    :param but: a pid to leave out: this process, if it holds such a lock itself.
    :param at: count only locks that cover this byte; None for any lock.
    """
    statuses = [status for path in paths if (status := _stat(path)) is not None]
    pids = {pid for status in statuses for pid in holders(status, at)} - {but}
    if not pids:
        return f"an unknown process (to find it, run as root: fuser -v {paths[0]})"
    named = ((pid, name_of(pid)) for pid in sorted(pids))
    return ", ".join(f"pid {pid} ({name})" if name else f"pid {pid}" for pid, name in named)


def holders(status: os.stat_result, at: int | None = None) -> set[int]:
    """The pids of the processes that hold a lock on this file; empty if they are unknown."""
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = set(_pids(PROC / "locks", file, at))
    living = {pid for pid in pids if (PROC / str(pid)).exists()}
    # A lock without a pid, or one that a child still holds after its parent ended.
    return living if living == pids else living.union(_who_has_open(file, at))


def _pids(listing: Path, file: str, at: int | None) -> Iterator[int]:
    """The pid of each lock on the file: ``1: POSIX ADVISORY READ 123 fe:00:4711 0 EOF``."""
    with suppress(OSError):
        for pid, locked, first, last in LOCK.findall(listing.read_text()):
            is_meant = at is None or (int(first) <= at and (last == "EOF" or at <= int(last)))
            if locked == file and is_meant:
                yield int(pid)


def _who_has_open(file: str, at: int | None) -> Iterator[int]:
    """Find a lock among the open files of every process that this user may look at."""
    for process in PROC.glob("[0-9]*"):
        with suppress(OSError):
            listings = map((process / "fdinfo").joinpath, os.listdir(process / "fdinfo"))
            if any(True for listing in listings for _ in _pids(listing, file, at)):
                yield int(process.name)


def _stat(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return os.stat(path)
    return None
