"""Wait for what another process does and can't announce, e.g. a file that appears."""

import time
from collections.abc import Callable
from typing import TypeVar

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
