"""How many processes may share a check, and how many processor cores there are for them."""

import os
from contextlib import suppress

most = 0  # processes for one check, set from BACKUPS_CHECK_PROCESSES; 0: as many as usable cores


def for_a_check() -> int:
    """How many processes may share a check: by default, as many as cores that this one may use."""
    if most:
        return most
    with suppress(OSError, AttributeError):  # not on every system, nor under every seccomp filter
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
