"""Wait for what another process does and can't announce, e.g. a file that appears."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

SECONDS = 20.0  # plenty for a slow machine
PAUSE = 0.002  # short beside what is waited for


def until(condition: Callable[[], T | None]) -> T:
    """Ask again and again; the first answer that is true is returned."""
    end = time.monotonic() + SECONDS
    while not (answer := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(PAUSE)
    return answer


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let this thread not pause: its pauses are written down, in seconds. Others pause as ever."""
    pauses, thread, sleep = list[float](), threading.current_thread(), time.sleep

    def pause(seconds: float) -> None:
        if threading.current_thread() is thread:
            pauses.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    return pauses
