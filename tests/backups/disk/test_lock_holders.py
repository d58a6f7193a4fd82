"""Real locks of real processes, and who is named for them."""

import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from backups.disk.lock_holders import describe_holders
from tests.backups import builders

READ = struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)

LOCKS: dict[str, Callable[[int], object]] = {
    "flock": lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_SH),
    "POSIX": lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_SETLK, READ),
    "open file description": lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, READ),
}


def holding(path: Path, lock: Callable[[int], object]) -> Callable[[IO[str], IO[str]], None]:
    """Lock a file, say so, and hold it."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        lock(os.open(path, os.O_RDONLY))
        print("locked", file=answers)
        requests.readline()

    return work


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lock"
    path.touch()
    return path


@pytest.mark.parametrize("kind", LOCKS)
def test_holder_of_each_kind_of_lock_is_named_with_its_program(kind: str, path: Path) -> None:
    with builders.forked(holding(path, LOCKS[kind])) as (pid, _, answers):
        assert answers.readline() == "locked\n"
        assert describe_holders(path).startswith(f"pid {pid} (")


def test_lock_that_outlives_its_process_is_the_childs(path: Path) -> None:
    def work(requests: IO[str], answers: IO[str]) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        taker = os.fork()
        if taker == 0:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os._exit(0)
        os.waitpid(taker, 0)
        print("locked", file=answers)
        requests.readline()

    with builders.forked(work) as (pid, _, answers):
        assert answers.readline() == "locked\n"
        assert describe_holders(path).startswith(f"pid {pid} (")


def test_program_that_reads_a_database_is_named(tmp_path: Path) -> None:
    database = builders.healthy(tmp_path / "tasks.db", "row")

    def work(requests: IO[str], answers: IO[str]) -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM items").fetchall()
            print("reads", file=answers)
            requests.readline()

    with builders.forked(work) as (pid, _, answers):
        assert answers.readline() == "reads\n"
        assert describe_holders(database).startswith(f"pid {pid} (")


def test_without_a_name_it_says_who_can_find_it(path: Path) -> None:
    assert describe_holders(path) == (
        f"an unknown process (to find it, run as root: fuser -v {path})"
    )


def test_own_lock_names_this_process_unless_another_is_meant(path: Path, tmp_path: Path) -> None:
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert describe_holders(path).startswith(f"pid {os.getpid()} (")
        assert "an unknown process" in describe_holders(path, tmp_path / "missing", but=os.getpid())
