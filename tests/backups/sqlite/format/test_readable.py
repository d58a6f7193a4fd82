"""Settling the live database, and giving it back, while other programs may have it open."""

import errno
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
from backups.sqlite.format.readable import is_readable, settled
from tests.backups import builders
from tests.backups.stand_ins import Steps, counted, refuse_with

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


def test_probe_recovers_and_checkpoints_nothing(paths: StorePaths) -> None:
    builders.hot_wal(paths.database, "row")
    wal = paths.sidecars[0]
    before = paths.database.read_bytes(), wal.read_bytes()
    assert is_readable(paths.database)
    assert (paths.database.read_bytes(), wal.read_bytes()) == before


def test_ruined_database_is_told_from_a_locked_one(paths: StorePaths) -> None:
    builders.healthy(paths.database, "row")
    with closing(sqlite3.connect(paths.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RestoreBlockedError, match="locked"):
            is_readable(paths.database)
    os.unlink(paths.database)
    builders.ruined(paths.database)
    assert not is_readable(paths.database)


def test_error_of_the_disk_blocks_and_is_not_taken_for_readable(paths: StorePaths) -> None:
    """To go on would open a database for writing whose -wal may be all that is left of it."""
    builders.ruined(paths.database)
    before = builders.folder(paths.folder)
    with counted(Steps(refuse_with(errno.EIO), at=1)), pytest.raises(RestoreBlockedError):
        is_readable(paths.database)
    assert builders.folder(paths.folder) == before


@pytest.mark.parametrize("content", [b"xy", b"Dear diary" * 1000, b"\0" * 8192])
def test_no_database_is_ruined_however_short(content: bytes, paths: StorePaths) -> None:
    paths.database.write_bytes(content)
    assert not is_readable(paths.database)
    assert paths.database.read_bytes() == content


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


CANT_OPEN, RUIN, WHOLE = None, False, True  # what one look can tell


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([WHOLE], True),
        ([RUIN, WHOLE], True),
        ([CANT_OPEN, WHOLE], True),
        ([CANT_OPEN, CANT_OPEN], True),  # a hot journal, which only a writer can recover
        ([RUIN, RUIN], False),
    ],
)
def test_what_is_not_clearly_whole_is_looked_at_twice(
    looks: list[bool | None], told: bool, paths: StorePaths
) -> None:
    with mock.patch.object(readable, "_probe", side_effect=looks) as probe:
        assert is_readable(paths.database) is told
    assert probe.call_count == len(looks)


@pytest.mark.parametrize("looks", [[CANT_OPEN, RUIN], [RUIN, CANT_OPEN]])
def test_two_looks_that_differ_block(looks: list[bool | None], paths: StorePaths) -> None:
    with (
        mock.patch.object(readable, "_probe", side_effect=looks),
        pytest.raises(RestoreBlockedError, match="unable to open database file"),
    ):
        is_readable(paths.database)


def test_error_of_a_moment_does_not_hide_that_a_file_is_live(paths: StorePaths) -> None:
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT)
    try:
        with mock.patch.object(files, "is_named", side_effect=[OSError(5, "moment"), True]):
            assert readable.is_live(paths.lock, descriptor)
        with (
            mock.patch.object(files, "is_named", side_effect=OSError(5, "for good")),
            pytest.raises(OSError, match="for good"),
        ):
            readable.is_live(paths.lock, descriptor)
    finally:
        os.close(descriptor)
