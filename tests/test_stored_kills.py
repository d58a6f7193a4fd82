"""
Backups that are killed at random moments while a writer goes on: no part of one ever has the name
of a snapshot, and what was good stays.
"""

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from backports import zstd

from backups.disk import files
from tests.backups.archive.stored_in import stored_files
from tests.processes import CHECKOUT, environment
from tests.site import Site, copy_site, kill_group

ACCOUNTS = 50  # whose balances add up to nothing, in each commit
WRITER = """
import itertools, random, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
print("ready", flush=True)
for number in itertools.count():
    one, other = random.sample(range(1, 51), 2)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE accounts SET balance = balance - 1 WHERE id = ?", (one,))
    connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = ?", (other,))
    connection.execute("INSERT INTO payments (words) VALUES (hex(randomblob(400)))")
    connection.execute("DELETE FROM payments WHERE id <= (SELECT max(id) FROM payments) - 8000")
    connection.execute("COMMIT")
"""


@pytest.fixture
def bank(template_site: Site, tmp_path: Path) -> Iterator[Site]:
    """A site of some megabytes, with somebody who writes all the time."""
    site = copy_site(template_site, tmp_path / "data")
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
        connection.execute("CREATE TABLE payments (id INTEGER PRIMARY KEY, words TEXT)")
        connection.executemany("INSERT INTO accounts VALUES (?, 0)", [(n + 1,) for n in range(50)])
        connection.executemany(
            "INSERT INTO payments (words) VALUES (hex(randomblob(400)))", [()] * 8000
        )
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, site.database], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield site
        writer.kill()


class Archive:
    """What a site has stored, as anybody can look at it."""

    def __init__(self, site: Site) -> None:
        self.folder = site.data / "tasks.db.backups"

    def stored(self) -> list[Path]:
        """Every file that has the name of a snapshot, the oldest first."""
        return stored_files(self.folder)

    def check(self, scratch: Path) -> None:
        """Each is whole, as zstd and SQLite see it, and has a balance that every commit keeps."""
        for stored in self.stored():
            scratch.write_bytes(zstd.decompress(stored.read_bytes()))
            with closing(sqlite3.connect(scratch)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("SELECT sum(balance) FROM accounts").fetchone() == (0,)
            manifest = stored.with_name(f"{stored.name}.json")
            if manifest.exists():
                said = json.loads(manifest.read_text())
                assert said["sha256"] == files.sha256(stored)
                assert said["database_sha256"] == files.sha256(scratch)


def run_and_kill(site: Site, chance: random.Random, longest: float) -> bool:
    """Run what is due, and kill all of it at a random moment. Returns whether it had ended."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backups", "run-due", "--force"],
        cwd=CHECKOUT,
        env=environment(
            site.data, TASKDOG_BACKUP_SCHEDULE="* * * * *", TASKDOG_BACKUP_KEEP="last=3"
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.3, longest))
        has_ended = process.returncode is not None
        kill_group(process)
    if has_ended:
        assert process.returncode == 0
    return has_ended or process.returncode != -signal.SIGKILL


@pytest.mark.parametrize(
    "runs",
    [pytest.param(10, marks=pytest.mark.proof), pytest.param(200, marks=pytest.mark.crash)],
)
def test_a_killed_backup_leaves_no_part_under_a_name_and_loses_none_that_was_good(
    bank: Site, runs: int, tmp_path: Path
) -> None:
    chance, archive = random.Random(20261126), Archive(bank)
    finished = bank.manage("backups", "run-due", TASKDOG_BACKUP_SCHEDULE="* * * * *")
    assert finished.code == 0, finished.err
    ended = 0
    for _ in range(runs):
        newest = archive.stored()[-1]
        ended += run_and_kill(bank, chance, longest=4.0)
        archive.check(tmp_path / "scratch.db")
        assert newest in archive.stored()
        assert len(archive.stored()) <= 3 + runs - ended + 1
    finished = bank.manage(
        *("backups", "run-due", "--force"),
        TASKDOG_BACKUP_SCHEDULE="* * * * *",
        TASKDOG_BACKUP_KEEP="last=3",
    )
    assert finished.code == 0, finished.err
    assert not list(archive.folder.glob("*.part"))
    # The last three, and the last one that was verified. One that was killed before its manifest
    # was there is whole, and stays: nobody knows what it is.
    known = [name for name in archive.stored() if (archive.folder / f"{name}.json").exists()]
    assert len(known) <= 4
    assert not [each for each in bank.data.iterdir() if ".scratch-" in each.name]
