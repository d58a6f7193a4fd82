"""
Somebody who writes all the time: ``python -m benchmarks.writer DATABASE``.

One transaction after another, each changing a task, as fast as they are committed, with the
pragmas and the busy timeout of the site. Until its input ends; then it prints when each was
committed and how long that took.
"""

import json
import select
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.stores import CHECKOUT

LOOK_EVERY = 20  # commits between two looks at the input


@dataclass(frozen=True)
class Commits:
    """What was committed in some seconds."""

    a_second: float
    slowest: float  # seconds


class Writer:
    """A writer of a database, in a process of its own, for the length of a block."""

    def __init__(self, database: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.writer", str(database)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._commits: list[tuple[float, float]] = []

    def between(self, start: float, end: float) -> Commits:
        """What was committed from one moment to another (``time.monotonic``). After the block."""
        within = [seconds for moment, seconds in self._commits if start < moment <= end]
        # One that went on at the end was kept waiting, too.
        across = [seconds for moment, seconds in self._commits if moment - seconds < end < moment]
        return Commits(len(within) / (end - start), max(within + across, default=0.0))

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        output, _no = self._process.communicate()
        if self._process.returncode == 0:
            self._commits = json.loads(output)


def write(database: Path) -> list[tuple[float, float]]:
    """Commit until the input ends: the moment of each commit, and how many seconds it took."""
    commits: list[tuple[float, float]] = []
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=NORMAL")
        (tasks,) = connection.execute("SELECT max(id) FROM tasks").fetchone()
        print("ready", flush=True)
        while len(commits) % LOOK_EVERY or not select.select([sys.stdin], [], [], 0)[0]:
            started = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "UPDATE tasks SET priority = 1 + (priority + 1) % 100 WHERE id = ?",
                (1 + 7919 * len(commits) % tasks,),
            )
            connection.execute("COMMIT")
            ended = time.monotonic()
            commits.append((ended, ended - started))
    return commits


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]))))
