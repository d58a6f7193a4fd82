"""
The anonymous memory of processes (RssAnon), watched while they work.

Mapped pages of files do not count: they are the system's cache, which it can take back at any time.
A page that two processes share since a fork counts once, and twice after one of them writes to it.

Source: https://www.kernel.org/doc/html/latest/filesystems/proc.html
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

PERIOD_SECONDS = 0.02
CALM_SECONDS = 0.5  # without a change: then it is idle
MOST_SECONDS = 10.0


class Peak:
    """
    Watch a process and all below it for the length of a block.

    A new child counts when it is seen for the second time: between its fork and its exec it shows
    the memory of its parent as its own.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._first = self._known = frozenset(tree(pid))
        self._shared = _shared(self._first)
        self._idle = self._highest = self._bytes()
        self._unshared = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def above_idle(self) -> int:
        """Bytes: the highest that was seen, less what there was at the beginning."""
        return self._highest - self._idle + self._unshared

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._first <= frozenset(tree(self._pid)):
            self._unshared = max(0, self._shared - _shared(self._first))

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._highest = max(self._highest, self._bytes())

    def _bytes(self) -> int:
        """Does not measure what the first processes share: that takes too long."""
        pids = frozenset(tree(self._pid))
        both, self._known = pids & self._known, pids
        return sum(map(anonymous, both & self._first)) + sum(map(_private, both - self._first))


def wait_until_idle(pid: int) -> None:
    """Wait until the memory of a process and all below it does not change, or for 10 s."""
    end = time.monotonic() + MOST_SECONDS
    before = -1
    while time.monotonic() < end and (now := sum(map(anonymous, tree(pid)))) != before:
        before = now
        time.sleep(CALM_SECONDS)


def anonymous(pid: int) -> int:
    """Bytes of anonymous memory of a process, shared or not; 0 if it has ended."""
    return _field(pid, "status", "RssAnon") or 0


def proportional_of_all(pid: int) -> int:
    """Bytes of anonymous memory of a process and all below it; what they share counts once."""
    return sum(map(_proportional, tree(pid)))


def _proportional(pid: int) -> int:
    size = _field(pid, "smaps_rollup", "Pss_Anon")
    return anonymous(pid) if size is None else size


def _private(pid: int) -> int:
    size = _field(pid, "smaps_rollup", "Private_Dirty")
    return anonymous(pid) if size is None else size


def _shared(pids: Iterable[int]) -> int:
    """Bytes that are counted more than once in the sum of their memory."""
    return sum(anonymous(pid) - _proportional(pid) for pid in pids)


def _field(pid: int, file: str, name: str) -> int | None:
    with contextlib.suppress(OSError):
        if found := re.search(rf"^{name}:\s+(\d+) kB", _read(pid, file), re.MULTILINE):
            return 1024 * int(found[1])
    return None


def _read(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
