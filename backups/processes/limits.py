"""
What a process may use: address space, processor time, files.

A limit can only be lowered: one that the machine has set, such as ``ulimit -Hv`` or a service
manager's, stays. And where the system refuses to set any (a seccomp filter), there is none of ours.
"""

import contextlib
import os
import resource

MEGABYTE = 1024**2
_MEANINGS = (  # in the order in which they keep a process from starting
    ("RLIMIT_AS", MEGABYTE, "MiB of address space (ulimit -v)"),
    ("RLIMIT_DATA", MEGABYTE, "MiB of data (ulimit -d)"),
    ("RLIMIT_CPU", 1, "seconds of processor time (ulimit -t)"),
    ("RLIMIT_NPROC", 1, "processes and threads of this user (ulimit -u)"),
    ("RLIMIT_NOFILE", 1, "open files (ulimit -n)"),
)
# Such limits are everywhere and usually high enough: only lower ones are reported.
_ORDINARY = {"RLIMIT_NPROC": 512, "RLIMIT_NOFILE": 256}


def lower(kind: int, most: int) -> None:
    """Limit this process, for the rest of its life, as far as the system lets it."""
    with contextlib.suppress(OSError, ValueError):  # Python has a ValueError for EPERM
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def lower_processor_time(seconds: int) -> None:
    """As above. At the limit comes SIGXCPU, which tells what it was, and not SIGKILL."""
    lower(resource.RLIMIT_CPU, seconds + 1)
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (max(1, hard - 1), hard))


def be_nice(niceness: int) -> None:
    """Let other processes come first, if the system allows it."""
    with contextlib.suppress(OSError):
        os.nice(max(0, niceness - os.nice(0)))


def address_space() -> int | None:
    """How many bytes this process may have; None if there is no limit."""
    return _soft("RLIMIT_AS")


def file_bytes() -> int | None:
    """How long a file of this process may become; None if there is no limit."""
    return _soft("RLIMIT_FSIZE")


def processor_seconds() -> int | None:
    """How much time this process may take of a processor; None if there is no limit."""
    return _soft("RLIMIT_CPU")


def describe() -> str:
    """The limits of this process that can keep a child from starting; empty if there are none."""
    told = []
    for name, unit, meaning in _MEANINGS:
        soft = _soft(name)
        if soft is not None and soft < _ORDINARY.get(name, float("inf")):
            told.append(f"{soft // unit:,} {meaning}")
    return ", ".join(told)


def used_address_space() -> int:
    """How many bytes this process has now; 0 if that is not known."""
    with contextlib.suppress(OSError), open("/proc/self/statm", "rb") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()
    return 0


def _soft(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        soft, _ = resource.getrlimit(getattr(resource, name))
        return None if soft == resource.RLIM_INFINITY else soft
    return None
