"""Settling the live database, and giving it back, while other programs may have it open."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import RestoreBlockedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format import readable
from backups.sqlite.format.readable import is_readable
from backups.sqlite.kept.settle import is_live, settled
from tests.backups import builders

READABLE: dict[str, Callable[[Path], Path]] = {
    "DELETE mode": lambda path: builders.healthy(path, "row"),
    "WAL mode": lambda path: builders.healthy(path, "row", journal_mode="wal"),
    "hot WAL": lambda path: builders.hot_wal(path, "row"),
    "hot journal": lambda path: builders.hot_journal(path, "row"),
    "persistent journal": lambda path: builders.persistent_journal(path, "row"),
    "other page size": lambda path: builders.healthy(path, "row", page_size=1024),
}


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """To wait for another program's lock is not what these tests are about."""
    with mock.patch.object(readable, "BUSY_SECONDS", 0.05):
        yield


# What another program does with a database that it has open
COMMANDS = {
    "idle": ("SELECT * FROM items",),
    "reading": ("BEGIN", "SELECT * FROM items"),
    "writing": ("BEGIN IMMEDIATE", "INSERT INTO items (name) VALUES ('under way')"),
}


@contextmanager
def shell(database: Path, *commands: str) -> Iterator["subprocess.Popen[str]"]:
    """Another program: a Python with the database open, that has done this, and then idles."""
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for command in sys.argv[2:]: connection.execute(command).fetchall()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(database), *commands],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate()


@pytest.mark.parametrize("state", READABLE)
def test_settled_database_has_every_committed_row_in_its_one_file(
    state: str, paths: StorePaths, tmp_path: Path
) -> None:
    READABLE[state](paths.database)
    assert is_readable(paths.database)
    with settled(paths) as descriptor:
        assert descriptor is not None
        assert [sidecar.name for sidecar in paths.sidecars if sidecar.exists()] == []
        copy = files.create_private(tmp_path / "copy.db")
        files.copy(descriptor, copy)
        os.close(copy)
    assert builders.names(tmp_path / "copy.db") == ["row"]
    assert builders.names(paths.database) == ["row"]


def test_empty_wal_beside_a_rollback_database_is_in_nobodys_way(paths: StorePaths) -> None:
    """A power cut leaves it, when a database was about to become one in WAL mode."""
    builders.healthy(paths.database, "row")
    paths.sidecars[0].touch()
    with settled(paths) as descriptor:
        assert descriptor is not None
        assert not paths.sidecars[0].exists()
    assert builders.names(paths.database) == ["row"]


@pytest.mark.parametrize("state", READABLE)
def test_database_is_given_back_in_its_journal_mode_if_the_block_fails(
    state: str, paths: StorePaths
) -> None:
    READABLE[state](paths.database)
    mode = builders.journal_mode(paths.database)
    with pytest.raises(ZeroDivisionError), settled(paths):
        raise ZeroDivisionError
    assert builders.journal_mode(paths.database) == mode
    assert builders.names(paths.database) == ["row"]
    with closing(sqlite3.connect(paths.database)) as connection:
        builders.add(connection, "goes on")


def test_nobody_else_can_write_or_read_while_it_is_settled(paths: StorePaths) -> None:
    builders.healthy(paths.database, "row", journal_mode="wal")
    with settled(paths), closing(sqlite3.connect(paths.database, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM items").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO items (name) VALUES ('lost')")


@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
def test_program_that_has_it_open_in_wal_mode_blocks(
    commands: tuple[str, ...], paths: StorePaths
) -> None:
    builders.healthy(paths.database, "row", journal_mode="wal")
    with shell(paths.database, *commands):
        with pytest.raises(RestoreBlockedError, match="locked") as caught, settled(paths):
            raise AssertionError("it was not settled")
        assert str(paths.database) in str(caught.value)
        assert builders.journal_mode(paths.database) == "wal"
    with settled(paths):
        pass
    assert builders.names(paths.database) == ["row"]


def test_program_that_writes_in_rollback_mode_blocks(paths: StorePaths) -> None:
    builders.healthy(paths.database, "row")
    with shell(paths.database, "BEGIN IMMEDIATE", "UPDATE items SET name = 'changed'"):
        with (
            pytest.raises(RestoreBlockedError, match="locked") as caught,
            settled(paths),
        ):
            raise AssertionError("it was not settled")
        assert caught.value.hint.startswith("Close the program")
    assert builders.names(paths.database) == ["row"]


def test_locks_of_sqlite_hold_although_descriptors_of_the_file_are_closed(
    paths: StorePaths,
) -> None:
    """Closing any descriptor of a database would drop them: ours is closed after SQLite's."""
    builders.healthy(paths.database, "row")
    closed: list[str] = []
    close = os.close

    def noticing(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if name == str(paths.database):
            with closing(sqlite3.connect(paths.database, timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")  # only once our own connection has let go
        closed.append(name)
        close(descriptor)

    with mock.patch("os.close", noticing), settled(paths):
        assert str(paths.database) not in closed
    assert str(paths.database) in closed


def test_error_of_a_moment_does_not_hide_that_a_file_is_live(paths: StorePaths) -> None:
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT)
    try:
        with mock.patch.object(files, "is_named", side_effect=[OSError(5, "moment"), True]):
            assert is_live(paths.lock, descriptor)
        with (
            mock.patch.object(files, "is_named", side_effect=OSError(5, "for good")),
            pytest.raises(OSError, match="for good"),
        ):
            is_live(paths.lock, descriptor)
    finally:
        os.close(descriptor)
