"""The header and the length of real databases, and of what only looks like one."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backups.exceptions import NotADatabaseError, WrongLengthError
from backups.sqlite.format.file_length import Header, check_header
from tests.backups import builders


def check(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        check_header(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_whole_database_passes(page_size: int, journal_mode: str, tmp_path: Path) -> None:
    path = builders.healthy(
        tmp_path / "x.db", "row", journal_mode=journal_mode, page_size=page_size
    )
    check(path)
    assert Header.parse(path.read_bytes()[:100]).page_size == page_size


def test_database_that_grew_in_the_wal_passes_once_it_is_one_file(tmp_path: Path) -> None:
    path = builders.hot_wal(tmp_path / "x.db", *(f"{number:0500}" for number in range(500)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    check(path)


def test_empty_file_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(NotADatabaseError, match=r"empty \(0 bytes\)"):
        check(builders.empty(tmp_path / "x.db"))


@pytest.mark.parametrize("content", [b"Dear diary", b"SQLite format 3\x00", b"\x00" * 4096])
def test_what_does_not_begin_as_a_database_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(NotADatabaseError, match="does not begin with"):
        check(tmp_path / "x.db")


def test_page_size_that_cannot_be_is_told(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with path.open("r+b") as content:
        content.seek(16)
        content.write((1000).to_bytes(2, "big"))
    with pytest.raises(NotADatabaseError, match="page size 1000"):
        check(path)


@pytest.mark.parametrize("versions", [(0, 1), (1, 3), (3, 1), (255, 255)])
def test_format_that_sqlite_does_not_write_is_told(
    versions: tuple[int, int], tmp_path: Path
) -> None:
    """Of a file with a newer write version SQLite reads all, and the site could write nothing."""
    path = builders.healthy(tmp_path / "x.db")
    with path.open("r+b") as content:
        content.seek(18)
        content.write(bytes(versions))
    with pytest.raises(NotADatabaseError, match=f"versions {versions[0]} and {versions[1]}"):
        check(path)


@pytest.mark.parametrize("build", [builders.truncated, builders.torn])
def test_file_that_was_cut_off_is_told_with_both_lengths(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = build(tmp_path / "x.db")
    with pytest.raises(WrongLengthError, match=r"is cut off: .* but it has") as caught:
        check(path)
    assert f"{path.stat().st_size:,}" in str(caught.value)


def test_appended_bytes_are_told(tmp_path: Path) -> None:
    with pytest.raises(WrongLengthError, match="longer than it should be"):
        check(builders.trailing_bytes(tmp_path / "x.db"))


def test_count_of_an_old_sqlite_is_not_trusted_but_whole_pages_are_wanted(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db", "row")
    with path.open("r+b") as content:
        content.seek(92)
        content.write(b"\0\0\0\0")  # version-valid-for, which SQLite before 3.7 did not write
        content.seek(28)
        content.write((1).to_bytes(4, "big"))
    check(path)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(WrongLengthError):
        check(path)
