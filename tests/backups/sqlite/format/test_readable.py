"""What can be read at all, without changing it: whole, hot, ruined, or not known now."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import RestoreBlockedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format import readable
from backups.sqlite.format.readable import is_readable
from tests.backups import builders
from tests.backups.stand_ins import Steps, counted, refuse_with

CANT_OPEN, RUIN, WHOLE = None, False, True  # what one look can tell


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """To wait for another program's lock is not what these tests are about."""
    with mock.patch.object(readable, "BUSY_SECONDS", 0.05):
        yield


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
