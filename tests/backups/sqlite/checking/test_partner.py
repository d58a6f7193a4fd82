"""The integrity check in parts, by one process or two, finds what the whole one finds."""

import os
import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import ChildNotStartedError
from backups.sqlite.checking import partner
from backups.sqlite.checking.check_child import inspect
from backups.sqlite.checking.defects import place_of
from backups.sqlite.checking.findings import MOST_FINDINGS, find_damage
from backups.sqlite.checking.messages import CHANGED, UNCHANGED, Question
from backups.sqlite.checking.partner import Partner
from backups.sqlite.checking.pragmas import REFERENCES, STRUCTURE, WHOLE, Findings, find_parts
from backups.sqlite.checking.sandbox import Sandbox
from tests.corpus import damage

ROWS = 500
SCHEMA = """
    CREATE TABLE long (id INTEGER PRIMARY KEY, name TEXT, number INTEGER);
    CREATE INDEX long_name ON long (name);
    CREATE TABLE short (id INTEGER PRIMARY KEY, name TEXT UNIQUE, other INTEGER);
    CREATE INDEX short_other ON short (other);
    CREATE TABLE keyed (name TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
    CREATE INDEX keyed_number ON keyed (number);
    CREATE TABLE "it's ""odd"" here" (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE INDEX counted_name ON counted (name);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole database with indexes, in which nothing is wrong."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        for table, columns in (("long", 2), ("short", 2), ("keyed", 2), ("counted", 1)):
            rows = [(f"{table} {number}", number)[:columns] for number in range(ROWS)]
            names = {"long": "name, number", "short": "name, other", "keyed": "name, number"}
            marks = ", ".join("?" * columns)
            connection.executemany(
                f"INSERT INTO {table} ({names.get(table, 'name')}) VALUES ({marks})", rows
            )
        connection.execute("INSERT INTO long (name) VALUES (NULL)")
        connection.execute("INSERT INTO counted (name) VALUES ('counted 1')")
        connection.commit()
    return path


def change_schema(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Let the schema say something else than what is stored."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            query = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?"
            assert connection.execute(query, (old, new, name)).rowcount == 1
            connection.commit()

    return change


def delete_a_row_unseen(path: Path) -> None:
    """The index keeps its entry, since it was not in the schema at that moment."""
    where = "WHERE name = 'long_name'"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        index = connection.execute(f"SELECT * FROM sqlite_master {where}").fetchone()
        connection.execute(f"DELETE FROM sqlite_master {where}")
        connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM long WHERE id = 1")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", index)
        connection.commit()


def share_a_page(path: Path) -> None:
    """Two indexes with one root."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master"
            " WHERE name = 'long_name') WHERE name = 'short_other'"
        )
        connection.commit()


def change_header(offset: int, change: int, *, appended: int = 0) -> Callable[[Path], None]:
    """Add to one of the numbers of the header, and to the file's length."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        (number,) = struct.unpack_from(">I", content, offset)
        struct.pack_into(">I", content, offset, number + change)
        path.write_bytes(content + bytes(appended))

    return spoil


DAMAGE: dict[str, Callable[[Path], None]] = {
    "row missing from an index": change_schema("long_name", "(name)", "(number)"),
    "row missing from an index of another table": change_schema("short_other", "(other)", "(name)"),
    "row missing from an index without rowids": change_schema("keyed_number", "number)", "name)"),
    "not unique": change_schema("counted_name", "CREATE INDEX", "CREATE UNIQUE INDEX"),
    "wrong number of entries": delete_a_row_unseen,
    "null": change_schema("long", "name TEXT", "name TEXT NOT NULL"),
    "check": change_schema("short", "other INTEGER", "other INTEGER CHECK (other < 9)"),
    "page used twice": share_a_page,
    "page never used": change_header(28, 1, appended=4096),
    "freelist": change_header(36, 1),
}


STRUCTURAL = ("page used twice", "page never used", "freelist")


def findings(path: Path, *checks: str) -> list[str]:
    """What these checks find, or all the parts if none is named."""
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        return [
            finding
            for check in checks or find_parts(sandbox.connection)[:-1]
            for finding in find_damage(sandbox, "", check)
        ]


def places(found: list[str]) -> set[str]:
    """Of defects only where they are: the check of one table stops after a hundred."""
    return {place_of(finding) or finding for finding in found}


def has_damage(path: Path, *checks: str) -> bool:
    """Whether these checks find any, or can't go on for it."""
    try:
        return bool(findings(path, *checks))
    except sqlite3.Error:
        return True


def asked(path: Path) -> Question:
    return Question(str(path), seconds=30.0)


def test_parts_are_the_longest_table_then_the_whole_without_indexes_then_the_rest(
    path: Path,
) -> None:
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        first, second, *rest, last = find_parts(sandbox.connection)
    assert first in ('integrity_check("long")', 'integrity_check("counted")')
    assert (second, last) == (STRUCTURE, REFERENCES)
    others = {"long", "short", "keyed", 'it\'s ""odd"" here', "counted", "sqlite_sequence"}
    assert {first, *rest} == {f'integrity_check("{name}")' for name in others}


def test_whole_file_is_whole_either_way(path: Path) -> None:
    assert findings(path) == findings(path, WHOLE) == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_parts_find_what_the_whole_check_finds(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    whole = places(findings(path, WHOLE)[:MOST_FINDINGS])
    assert whole
    assert places(findings(path)) >= whole


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_several_parts_find_is_told_once(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    by_one = inspect(asked(path))
    with mock.patch.object(partner, "SHARED_FROM", 0):
        by_two = inspect(asked(path))
    assert by_two.damage or by_two.defects
    assert len(by_two.damage) == len(set(by_two.damage))
    assert by_two.defects == by_one.defects


@pytest.mark.parametrize("family", damage.FAMILIES)
def test_parts_and_whole_agree_on_spoilt_bytes(family: str, path: Path) -> None:
    content, (_, spoil) = path.read_bytes(), damage.FAMILIES[family]
    for number in range(12):
        path.write_bytes(spoil(content, random.Random(f"{family} {number}"), number))
        assert has_damage(path) == has_damage(path, WHOLE), number


@pytest.mark.parametrize("name", ["a\0b", "a\ufffd"])
def test_name_that_no_statement_can_have_is_not_shared(name: str) -> None:
    connection = mock.Mock()
    connection.execute.return_value.fetchall.return_value = [
        ("main", "long", "table"),
        ("main", name, "table"),
    ]
    assert find_parts(connection) == [WHOLE, REFERENCES]


@pytest.mark.parametrize("kind", [None, *DAMAGE])
def test_two_processes_find_what_one_finds(kind: str | None, path: Path) -> None:
    if kind is not None:
        DAMAGE[kind](path)
    alone = inspect(asked(path))
    with mock.patch.object(partner, "SHARED_FROM", 0):
        together = inspect(asked(path))
    assert bool(together.damage) == bool(alone.damage) == (kind in STRUCTURAL)
    assert set(together.damage) & set(alone.damage) or kind not in STRUCTURAL
    assert together.defects == alone.defects
    assert bool(alone.defects) == (kind is not None and kind not in STRUCTURAL)


@pytest.fixture
def nothing_here() -> Iterator[None]:
    """This process takes no part, so that all of them are left to the other."""
    with mock.patch.object(partner, "check_share", return_value=Findings()):
        yield


@pytest.mark.usefixtures("nothing_here")
def test_other_process_takes_what_is_left(path: Path) -> None:
    with (
        mock.patch.object(partner, "SHARED_FROM", 0),
        closing(Partner(asked(path))) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
        mock.patch.object(Findings, "check") as again,
    ):
        found = other.check(sandbox, changed=False)
    assert not found.damage
    again.assert_not_called()


@pytest.mark.usefixtures("nothing_here")
def test_other_process_that_dies_leaves_nothing_unchecked(path: Path) -> None:
    DAMAGE["row missing from an index of another table"](path)
    with mock.patch.object(partner, "SHARED_FROM", 0), closing(Partner(asked(path))) as other:
        other._process.kill()
        other._process.wait()
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            found = other.check(sandbox, changed=False)
    assert any("short_other" in finding for finding in found.broken_rules)


@pytest.mark.parametrize("error", [OSError("too many"), ChildNotStartedError("no Python")])
def test_file_is_checked_by_one_process_where_no_other_starts(error: Exception, path: Path) -> None:
    with (
        mock.patch.object(partner, "SHARED_FROM", 0),
        mock.patch.object(partner, "command", side_effect=error),
        closing(Partner(asked(path))) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
    ):
        assert not other.check(sandbox, changed=False).damage


def test_small_file_is_checked_by_one_process(path: Path) -> None:
    with closing(Partner(asked(path))) as other:
        assert not other.is_there
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            assert not other.check(sandbox, changed=False).damage


def test_other_process_ends_with_its_parent_s_pipe(path: Path) -> None:
    with mock.patch.object(partner, "SHARED_FROM", 0):
        other = Partner(asked(path))
    process = other._process
    other.close()
    assert process.returncode is not None, "no zombie"


@pytest.mark.parametrize("shared_from", [0, partner.SHARED_FROM])
def test_broken_references_are_found_by_one_or_two(shared_from: int, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE refers (id INTEGER PRIMARY KEY, to_id REFERENCES long)")
        connection.execute("INSERT INTO refers VALUES (7, 999999)")
        connection.commit()
    with mock.patch.object(partner, "SHARED_FROM", shared_from):
        verdict = inspect(asked(path))
    assert not verdict.damage
    assert verdict.broken_references == [
        "row 7 of refers refers to a row of long that is not there"
    ]


@pytest.mark.parametrize("shared_from", [0, partner.SHARED_FROM])
@pytest.mark.parametrize(("changed", "word"), [(True, CHANGED), (False, UNCHANGED)])
def test_who_waits_to_hash_the_file_is_told_once(
    shared_from: int, path: Path, *, changed: bool, word: bytes
) -> None:
    told, tell = os.pipe()
    question = replace(asked(path), settled=tell)
    with (
        mock.patch.object(partner, "SHARED_FROM", shared_from),
        closing(Partner(question)) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
    ):
        assert not other.check(sandbox, changed=changed).damage
    os.close(tell)
    with open(told, "rb") as words:
        assert words.read() == word


def test_file_that_was_sent_is_checked_by_one_process(path: Path) -> None:
    DAMAGE["row missing from an index"](path)
    question = replace(asked(path), is_ours=True)
    with mock.patch.object(partner, "SHARED_FROM", 0), closing(Partner(question)) as other:
        assert not other.is_there
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            found = other.check(sandbox, changed=False)
    assert not found.damage, "the quick check compares no index with its table"
