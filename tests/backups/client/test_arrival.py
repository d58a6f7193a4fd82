"""What arrives is passed on only as long as it is a database of the length that it says."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backups.client.arrival import checked
from backups.exceptions import ClientError, TransferInterruptedError
from tests.backups import builders
from tests.backups.wire import as_database

URL = "https://example.org/backup"
DATABASE = as_database(bytes(range(256)) * 64)


def taken(content: bytes, step: int = 1000) -> bytes:
    """What is passed on of a content that arrives in steps."""
    pieces = (content[start : start + step] for start in range(0, len(content), step))
    return b"".join(checked(pieces, URL))


@pytest.mark.parametrize("step", [1, 99, 100, 101, 4096, 10**6])
def test_database_is_passed_on_as_it_is(step: int) -> None:
    assert taken(DATABASE, step) == DATABASE


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_database_of_sqlite_is_passed_on(tmp_path: Path, page_size: int, journal_mode: str) -> None:
    path = builders.healthy(
        tmp_path / "good.db", "one", page_size=page_size, journal_mode=journal_mode
    )
    assert taken(path.read_bytes()) == path.read_bytes()


def test_database_that_a_vacuum_made_shorter_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "shorter.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (content)")
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
        connection.execute("DELETE FROM t")
        connection.execute("VACUUM")
    assert taken(path.read_bytes()) == path.read_bytes()


def uncounted(content: bytes) -> bytes:
    """The same as a SQLite before 3.7 left it: it changed the file and not the count of pages."""
    return content[:24] + b"\0\0\0\x63" + content[28:]


def test_count_that_an_old_sqlite_did_not_keep_is_not_asked_for() -> None:
    longer = uncounted(DATABASE + bytes(4096))
    assert taken(longer) == longer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SQLite format 3\0",
        DATABASE[:99],
        b"<!doctype html>" + bytes(1000),
        b"S" + b"QLite says: rm -rf /\n" * 100,
        b"#!/bin/sh\n" * 100,
        DATABASE[:16] + b"\0\3" + DATABASE[18:],  # its pages have no size
        DATABASE[:18] + b"\7" + DATABASE[19:],
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_nothing_is_passed_on_of_what_is_not_a_database(content: bytes, step: int) -> None:
    pieces = (content[start : start + step] for start in range(0, len(content), step))
    with pytest.raises(ClientError, match="did not answer with a database"):
        next(checked(pieces, URL))


def test_what_it_is_instead_is_said() -> None:
    with pytest.raises(ClientError, match="with a database: it is a web page"):
        taken(b"<!DOCTYPE html>" + bytes(1000))


@pytest.mark.parametrize("more", [b"x", b"\n", bytes(4096), b"#!/bin/sh\n" * 1000])
def test_what_is_longer_than_its_header_says_is_refused(more: bytes) -> None:
    with pytest.raises(ClientError, match=r"longer than .* 16,384 bytes"):
        taken(DATABASE + more)


def test_endless_one_is_stopped_where_its_header_ends_it() -> None:
    def endless() -> Iterator[bytes]:
        yield DATABASE
        yield bytes(1000)
        raise AssertionError("it should not be asked for more")

    with pytest.raises(ClientError, match="longer than"):
        list(checked(endless(), URL))


@pytest.mark.parametrize("length", [100, 4096, len(DATABASE) - 4096, len(DATABASE) - 1])
def test_what_is_shorter_than_its_header_says_is_cut_off(length: int) -> None:
    with pytest.raises(TransferInterruptedError, match=f"16,384 bytes, but it has {length:,}"):
        taken(DATABASE[:length])


@pytest.mark.parametrize("change", [-1, 1])
def test_part_of_a_page_is_told_also_without_a_count(change: int) -> None:
    content = uncounted(DATABASE + b"x" if change > 0 else DATABASE[:-1])
    with pytest.raises(ClientError):
        taken(content)


# A dump of PostgreSQL

DUMP = b"PGDMP\x01\x0e\x00" + bytes(3000)


@pytest.mark.parametrize("length", [8, len(DUMP)])
@pytest.mark.parametrize("step", [1, 99, 100, 101, 4096])
def test_dump_is_passed_on_as_it_is(step: int, length: int) -> None:
    content = DUMP[:length]
    pieces = (content[start : start + step] for start in range(0, length, step))
    assert b"".join(checked(pieces, URL, length)) == content


def test_nothing_is_passed_on_of_a_dump_whose_length_nobody_knows() -> None:
    """Nothing in it says how long it is, so half of it would look whole."""
    with pytest.raises(ClientError, match="does not say how long its dump is"):
        next(checked([DUMP], URL))
