"""
What a process may use: address space, processor time, files.

A limit can only be lowered: one that the machine has set, such as ``ulimit -Hv`` or a service
manager's, stays. If the system refuses to set any (a seccomp filter), we continue without.
"""

import contextlib
import os
import resource

MEGABYTE = 1024**2
_MEANINGS = (  # in the order in which a starting process hits them
    ("RLIMIT_AS", MEGABYTE, "MiB of address space (ulimit -v)"),
    ("RLIMIT_DATA", MEGABYTE, "MiB of data (ulimit -d)"),
    ("RLIMIT_CPU", 1, "seconds of processor time (ulimit -t)"),
    ("RLIMIT_NPROC", 1, "processes and threads of this user (ulimit -u)"),
    ("RLIMIT_NOFILE", 1, "open files (ulimit -n)"),
)
# Most systems set these, and high enough: only lower ones are reported.
_ORDINARY = {"RLIMIT_NPROC": 512, "RLIMIT_NOFILE": 256}


def lower(kind: int, most: int) -> None:
    """Limit this process, for the rest of its life, if the system allows it."""
    with contextlib.suppress(OSError, ValueError):  # Python raises ValueError for EPERM
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def lower_processor_time(seconds: int) -> None:
    """As ``lower``. At the limit the process gets SIGXCPU, which shows the reason, not SIGKILL."""
    lower(resource.RLIMIT_CPU, seconds + 1)
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (max(1, hard - 1), hard))


def be_nice(niceness: int) -> None:
    """Let other processes come first, if the system allows it."""
    with contextlib.suppress(OSError):
        os.nice(max(0, niceness - os.nice(0)))


def address_space() -> int | None:
    """How many bytes of address space this process may use; None if there is no limit."""
    return _soft("RLIMIT_AS")


def file_bytes() -> int | None:
    """How many bytes this process may write to a file; None if there is no limit."""
    return _soft("RLIMIT_FSIZE")


def processor_seconds() -> int | None:
    """How many seconds of processor time this process may use; None if there is no limit."""
    return _soft("RLIMIT_CPU")


def describe() -> str:
    """The limits of this process that can keep a child from starting; empty if there are none."""
    return ", ".join(
        f"{soft // unit:,} {meaning}"
        for name, unit, meaning in _MEANINGS
        if (soft := _soft(name)) is not None and soft < _ORDINARY.get(name, float("inf"))
    )


def used_address_space() -> int:
    """How many bytes of address space this process uses now; 0 if unknown."""
    with contextlib.suppress(OSError), open("/proc/self/statm", "rb") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()
    return 0


def _soft(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        soft, _ = resource.getrlimit(getattr(resource, name))
        return None if soft == resource.RLIM_INFINITY else soft
    return None
