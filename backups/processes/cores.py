"""How many processor cores a check may keep busy."""

import os
from contextlib import suppress

most = 0  # processes for one check; 0 for as many as there are cores. From BACKUPS_CHECK_PROCESSES


def for_a_check() -> int:
    """How many processes may share a check."""
    return most or usable()


def usable() -> int:
    """How many cores this process may use."""
    with suppress(OSError, AttributeError):  # not everywhere, nor under every filter
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
