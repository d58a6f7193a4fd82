"""The end of a server: what does not end in time is killed, and no process of it is left."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.backups.waiting import until

SECONDS = 60
STACKS = {"PYTHONFAULTHANDLER": "1"}  # SIGABRT prints what each thread does


def stop(process: "subprocess.Popen[bytes]", log: Path, seconds: float = SECONDS) -> None:
    """
    Ask a server that leads a group to end.

    :param process: started with ``STACKS`` in its environment.
    :param log: where it writes its standard error.
    :raises AssertionError: it didn't, with its log, in which each process has told what it did.
    """
    process.terminate()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill_with_stacks(process.pid)
        process.wait()
        raise AssertionError(f"the server did not end:\n{log.read_text()}") from None


def _kill_with_stacks(group: int) -> None:
    """One after the other, so that they do not write at once; the leader, which may react, last."""
    for pid in sorted(_living(group), key=lambda pid: pid == group):
        _abort(pid, group)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _abort(pid: int, group: int) -> None:
    with suppress(ProcessLookupError, AssertionError):  # it has ended, or it blocks SIGABRT
        os.kill(pid, signal.SIGABRT)
        until(lambda: pid not in _living(group))


def _living(group: int) -> set[int]:
    """The processes of a group, without those that have ended and nobody waits for. proc(5)."""
    living = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                living.add(int(stat.parent.name))
    return living
