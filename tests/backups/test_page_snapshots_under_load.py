"""
Page snapshots while processes write, checkpoint, vacuum and change the schema.

Each writer keeps a balance: what it takes from one account it gives to another, and it counts its
transactions, in a row and in a log. So a state between two commits is known: the sum is what it
was, and each count is one that the writer had reached between the start and the end of the
taking. What is torn, by a page, fails one of these or SQLite's integrity check.
"""

import mmap
import os
import random
import select
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.snapshots.pages import create_page_snapshot
from tests.backups import builders
from tests.backups.waiting import until

pytestmark = pytest.mark.proof

ACCOUNTS, BALANCE = 500, 1_000_000
WRITERS = 3
SEED = os.environ.get("SNAPSHOT_SEED", "0")


class Counts:
    """What each writer has begun and what was acknowledged to it, shared by all processes."""

    def __init__(self) -> None:
        """Everything is 0."""
        self._memory = memoryview(mmap.mmap(-1, 16 * WRITERS)).cast("Q")

    def begin(self, writer: int, number: int) -> None:
        """Before its COMMIT."""
        self._memory[writer] = number

    def acknowledge(self, writer: int, number: int) -> None:
        """After its COMMIT."""
        self._memory[WRITERS + writer] = number

    @property
    def begun(self) -> list[int]:
        """The newest of each writer that may be committed."""
        return list(self._memory[:WRITERS])

    @property
    def acknowledged(self) -> list[int]:
        """The newest of each writer that is committed."""
        return list(self._memory[WRITERS:])

    def wait_for(self, number: int) -> None:
        """Wait until so many more transactions have begun to be committed."""
        goal = sum(self.begun) + number
        until(lambda: sum(self.begun) >= goal)


def connect(database: Path) -> sqlite3.Connection:
    """A connection of a busy site."""
    connection = sqlite3.connect(database, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")  # no power is cut here
    return connection


def create(database: Path) -> None:
    """The accounts, and some megabytes besides."""
    with closing(connect(database)) as connection:
        connection.execute("PRAGMA page_size=1024")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
        connection.execute("CREATE TABLE counts (writer INTEGER PRIMARY KEY, number INTEGER)")
        connection.execute("CREATE TABLE log (writer, number, note, PRIMARY KEY (writer, number))")
        connection.execute("CREATE TABLE ballast (id INTEGER PRIMARY KEY, content)")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO accounts VALUES (?, ?)", [(n, BALANCE) for n in range(ACCOUNTS)]
        )
        connection.executemany("INSERT INTO counts VALUES (?, 0)", [(n,) for n in range(WRITERS)])
        connection.executemany(
            "INSERT INTO ballast (content) VALUES (randomblob(?))", [(3000,)] * 700
        )
        connection.execute("COMMIT")


def write(database: Path, writer: int, counts: Counts) -> None:
    """Move money, one transaction after another, until it is killed."""
    chance = random.Random(f"{SEED} {writer}")
    with closing(connect(database)) as connection:
        for number in range(1, 1 << 60):
            one, two = chance.sample(range(ACCOUNTS), 2)
            amount = chance.randrange(1000)
            connection.execute("BEGIN IMMEDIATE")
            move = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
            connection.execute(move, (-amount, one))
            connection.execute(
                "UPDATE ballast SET content = randomblob(3000) WHERE id = ?",
                (chance.randrange(700),),
            )
            connection.execute(
                "INSERT INTO log VALUES (?, ?, hex(randomblob(?)))",
                (writer, number, chance.randrange(60)),
            )
            if number % 1000 == 0:  # the log must not outgrow everything
                connection.execute("UPDATE log SET note = '' WHERE writer = ?", (writer,))
            connection.execute(move, (amount, two))
            connection.execute("UPDATE counts SET number = ? WHERE writer = ?", (number, writer))
            counts.begin(writer, number)
            connection.execute("COMMIT")
            counts.acknowledge(writer, number)


def meddle(database: Path) -> None:
    """Do to the file what a site does now and then, all the time, until it is killed."""
    chance = random.Random(f"{SEED} meddler")
    statements = [
        *(f"PRAGMA wal_checkpoint({mode})" for mode in ("PASSIVE", "PASSIVE", "FULL")),
        *(f"PRAGMA wal_checkpoint({mode})" for mode in ("RESTART", "TRUNCATE", "TRUNCATE")),
        "VACUUM",
        "PRAGMA incremental_vacuum(50)",
        "CREATE INDEX IF NOT EXISTS by_note ON log (note)",
        "DROP INDEX IF EXISTS by_note",
        "CREATE TABLE IF NOT EXISTS passing AS SELECT * FROM accounts",
        "DROP TABLE IF EXISTS passing",
        "INSERT INTO ballast (content) SELECT randomblob(2000) FROM accounts",
        "DELETE FROM ballast WHERE id > 700",
        "ALTER TABLE accounts ADD COLUMN remark",
        "ALTER TABLE accounts DROP COLUMN remark",
        "DELETE FROM log WHERE number < (SELECT min(number) FROM counts) - 2000",
    ]
    with closing(connect(database)) as connection:
        # A checkpoint that waits for a reader lets the writers wait.
        connection.execute("PRAGMA busy_timeout=30")
        while True:
            with suppress(sqlite3.OperationalError):  # busy, or the column is not there
                connection.execute(chance.choice(statements)).fetchall()


@contextmanager
def processes(*works: Callable[[], None]) -> Iterator[None]:
    """Run each in a process of its own, which is killed at the end; none may end before."""
    with ExitStack() as stack:
        ends = []
        for work in works:

            def run(requests: IO[str], answers: IO[str], work: Callable[[], None] = work) -> None:
                try:
                    work()
                except BaseException as error:
                    print(repr(error), file=answers)

            _, _, answers = stack.enter_context(builders.forked(run))
            ends.append(answers)
        yield
        ended, _, _ = select.select(ends, [], [], 0)
        assert [answers.readline() for answers in ended] == []


def check(snapshot: Path, before: list[int], after: list[int]) -> None:
    """It is one state of those between these counts."""
    with closing(sqlite3.connect(snapshot)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (total,) = connection.execute("SELECT sum(balance) FROM accounts").fetchone()
        assert total == ACCOUNTS * BALANCE
        counted = connection.execute("SELECT number FROM counts ORDER BY writer").fetchall()
        logged = connection.execute(
            "SELECT max(number) FROM log GROUP BY writer ORDER BY writer"
        ).fetchall()
        assert logged == counted
        for low, (number,), high in zip(before, counted, after, strict=True):
            assert low <= number <= high


@pytest.mark.parametrize(
    "snapshots", [20, pytest.param(500, marks=pytest.mark.crash)], ids=["short", "long"]
)
def test_every_snapshot_is_one_state_between_two_commits(snapshots: int, tmp_path: Path) -> None:
    database, counts = tmp_path / "tasks.db", Counts()
    create(database)
    writers = [partial(write, database, writer, counts) for writer in range(WRITERS)]
    chance = random.Random(SEED)
    with processes(*writers, partial(meddle, database)):
        until(lambda: all(counts.acknowledged))
        for _ in range(snapshots):
            before = counts.acknowledged
            with create_page_snapshot(
                StorePaths.of(database),
                spool_after=chance.choice([0.0, 0.01, 60.0]),
                stall_seconds=60.0,
                presence=None,
            ) as snapshot:
                after = counts.begun
                with (tmp_path / "taken.db").open("wb") as taken:
                    for chunk in snapshot:
                        taken.write(chunk)
                        counts.wait_for(chance.choice([0, 0, 0, 0, 1, 20]))
            check(tmp_path / "taken.db", before, after)
