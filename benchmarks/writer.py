"""
Somebody who writes all the time: ``python -m benchmarks.writer DATABASE``, a file or a URL.

One transaction after another, each changing a task, as fast as they are committed, with the
pragmas and the busy timeout of the site. Until its input ends; then it prints when each was
committed and how long that took. If PostgreSQL ends the session, it connects anew and tries again,
as a site does: the time until the commit counts.
"""

import json
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from benchmarks.stores import CHECKOUT

LOOK_EVERY = 20  # commits between two looks at the input
LAST = "SELECT max(id) FROM tasks"
CHANGE = "UPDATE tasks SET priority = 1 + mod(priority + 1, 100) WHERE id = {}"


@dataclass(frozen=True)
class Commits:
    """What was committed in some seconds."""

    a_second: float
    slowest: float  # seconds


class Writer:
    """A writer of a database, in a process of its own, for the length of a block."""

    def __init__(self, database: Path | str) -> None:
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


def write(database: str) -> list[tuple[float, float]]:
    """Commit until the input ends: the moment of each commit, and how many seconds it took."""
    commits: list[tuple[float, float]] = []
    with _to_postgres(database) if "://" in database else _to_sqlite(database) as (tasks, change):
        print("ready", flush=True)
        while len(commits) % LOOK_EVERY or not select.select([sys.stdin], [], [], 0)[0]:
            started = time.monotonic()
            change(1 + 7919 * len(commits) % tasks)
            ended = time.monotonic()
            commits.append((ended, ended - started))
    return commits


@contextmanager
def _to_sqlite(database: str) -> Iterator[tuple[int, Callable[[int], None]]]:
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=NORMAL")
        (tasks,) = connection.execute(LAST).fetchone()

        def change(task: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(CHANGE.format("?"), (task,))
            connection.execute("COMMIT")

        yield tasks, change


@contextmanager
def _to_postgres(url: str) -> Iterator[tuple[int, Callable[[int], None]]]:
    connection = psycopg.connect(url, autocommit=True)
    (tasks,) = connection.execute(LAST).fetchone() or (0,)

    def change(task: int) -> None:
        nonlocal connection
        while True:
            try:
                connection.execute(CHANGE.format("%s").encode(), [task])
                return
            except psycopg.OperationalError:
                connection.close()
                connection = _connect(url)

    yield tasks, change
    connection.close()


def _connect(url: str) -> "psycopg.Connection[Any]":
    while True:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(url, autocommit=True)


if __name__ == "__main__":
    print(json.dumps(write(sys.argv[1])))
