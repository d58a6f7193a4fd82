"""The processor time that a served site takes while nobody asks it anything."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import tree
from benchmarks.serving import serving
from benchmarks.stores import Store

SETTLE_SECONDS = 5.0  # until it has started for good
MOST_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Idle:
    """As parts of one core."""

    with_schedule: float
    without: float


def measure_idle(store: Store, *, seconds: float) -> Idle:
    """For so long with a schedule whose time does not come, and for so long with none."""
    return Idle(_idle(store, "0 0 29 2 *", seconds), _idle(store, "off", seconds))


def _idle(store: Store, schedule: str, seconds: float) -> float:
    if schedule != "off":  # the first run is due at once
        store.manage("backups", "run-due", TASKDOG_BACKUP_SCHEDULE=schedule)
    with serving(store, TASKDOG_BACKUP_SCHEDULE=schedule) as server:
        time.sleep(SETTLE_SECONDS)
        before = _processor_seconds(server.pid)
        time.sleep(seconds)
        return (_processor_seconds(server.pid) - before) / seconds


def _processor_seconds(pid: int) -> float:
    """Of a process and all below it, with those that have ended and were waited for."""
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return ticks / TICKS
