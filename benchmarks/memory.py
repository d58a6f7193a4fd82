"""
The memory that processes have for themselves (RssAnon), watched while something goes on.

Mapped pages of files are left out: they are the system's cache, which it takes back at will.

Source: https://www.kernel.org/doc/html/latest/filesystems/proc.html
"""

import contextlib
import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PERIOD_SECONDS = 0.01
CALM_SECONDS = 0.5  # without a change: then it is idle
MOST_SECONDS = 10.0


class Peak:
    """
    Watch a process and all below it for the length of a block.

    A child counts from the second look on. Between its fork and its exec it shows the memory of
    its parent as its own.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known = frozenset(_tree(pid))
        self.idle = self._bytes()
        self._highest = self.idle
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def above_idle(self) -> int:
        """Bytes: the highest that was seen, less what there was at the beginning."""
        return self._highest - self.idle

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._highest = max(self._highest, self._bytes())

    def _bytes(self) -> int:
        pids = frozenset(_tree(self._pid))
        both, self._known = pids & self._known, pids
        return sum(map(anonymous, both))


def wait_until_idle(pid: int) -> None:
    """Wait until the memory of a process and all below it does not change, or for 10 s."""
    end = time.monotonic() + MOST_SECONDS
    before = -1
    while time.monotonic() < end and (now := sum(map(anonymous, _tree(pid)))) != before:
        before = now
        time.sleep(CALM_SECONDS)


def anonymous(pid: int) -> int:
    """Bytes of RssAnon of a process; 0 of one that has ended."""
    with contextlib.suppress(OSError):
        if found := re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            return 1024 * int(found[1])
    return 0


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
