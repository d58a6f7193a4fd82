"""The parts of the quicker check doubt whatever the whole check finds."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from backups.sqlite.checking import parts, plans
from backups.sqlite.checking.findings import find_damage
from backups.sqlite.checking.parts import MOST_PARTS, Part, find_doubts, find_parts, run_part
from backups.sqlite.checking.pragmas import WHOLE
from backups.sqlite.checking.sandbox import Sandbox
from tests.backups.sqlite.checking.indexed_databases import DAMAGE, indexed
from tests.corpus import damage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return indexed(tmp_path / "x.db")


def doubts(path: Path) -> list[str]:
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        return find_doubts(sandbox)


def is_damaged(path: Path) -> bool:
    """Whether SQLite's check of the whole file finds anything, or can't go on for it."""
    try:
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            return bool(find_damage(sandbox, "", WHOLE))
    except sqlite3.Error:
        return True


def has_doubts(path: Path) -> bool:
    try:
        return bool(doubts(path))
    except sqlite3.Error:
        return True


def test_parts_are_the_structure_the_indexes_and_the_references(path: Path) -> None:
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        found = find_parts(sandbox.connection, "")
    indexes = ("long_name", "short_other", "counted_name")
    automatic = "sqlite_autoindex_short_1"
    assert {part.name for part in found} == {
        "structure",
        "references",
        "table keyed",
        *(f"index {name}" for name in (*indexes, automatic)),
    }
    assert found == sorted(found, key=lambda part: -part.cost), "the longest first"


def test_virtual_table_is_left_to_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts4(word)")
        connection.execute("INSERT INTO words VALUES ('one')")
        connection.commit()
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        assert "words" in [part.table for part in find_parts(sandbox.connection, "")]
    assert doubts(path) == []


def test_whole_file_leaves_no_doubt(path: Path) -> None:
    assert doubts(path) == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_the_whole_check_finds_is_doubted(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    assert is_damaged(path)
    assert doubts(path)


@pytest.mark.parametrize("family", damage.FAMILIES)
def test_spoilt_bytes_that_the_whole_check_finds_are_doubted(family: str, path: Path) -> None:
    content, (_, spoil) = path.read_bytes(), damage.FAMILIES[family]
    for number in range(12):
        path.write_bytes(spoil(content, random.Random(f"{family} {number}"), number))
        assert has_doubts(path) >= is_damaged(path), number


@pytest.mark.parametrize("name", ["a\0b", "a\ufffd"])
def test_name_that_no_statement_can_have_is_left_to_sqlite(name: str) -> None:
    connection = mock.Mock()
    connection.execute.return_value.fetchall.return_value = [
        ("main", "long", "table", 1, 0, 0),
        ("main", name, "table", 1, 0, 0),
    ]
    assert find_parts(connection, "") == []


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(plans, "KNOWN", (99, 0)), (parts, "MOST_PARTS", 3)],
    ids=["old", "many"],
)
def test_file_that_can_t_be_divided_is_left_to_sqlite(
    module: ModuleType, name: str, value: object, path: Path
) -> None:
    with mock.patch.object(module, name, value):
        assert doubts(path) == ["the check can't be divided into parts"]
    assert MOST_PARTS * 4 <= 4096, "the numbers of all parts fit into a pipe on every system"


def test_indexes_that_are_too_many_are_not_planned_one_by_one(path: Path) -> None:
    with (
        closing(Sandbox(path, seconds=30.0)) as sandbox,
        mock.patch.object(parts, "MOST_PARTS", 5),
        mock.patch.object(parts, "read_indexes") as planned,
    ):
        assert find_parts(sandbox.connection, "") == []
    planned.assert_not_called()


def part(error: Exception) -> Part:
    return Part("index x", 1, mock.Mock(side_effect=error))


def test_part_that_sqlite_can_t_go_on_with_is_in_doubt(path: Path) -> None:
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        malformed = sqlite3.DatabaseError("database disk image is malformed")
        assert run_part(part(malformed), sandbox) == f"index x: {malformed}"


@pytest.mark.parametrize(
    "message", ["no such function: slug", "no such collation sequence: by_length"]
)
def test_what_the_whole_check_would_lack_too_is_an_error(message: str, path: Path) -> None:
    with closing(Sandbox(path, seconds=30.0)) as sandbox, pytest.raises(sqlite3.Error):
        run_part(part(sqlite3.OperationalError(message)), sandbox)


def test_time_that_is_over_is_an_error(path: Path) -> None:
    with closing(Sandbox(path, seconds=0.0)) as sandbox, pytest.raises(sqlite3.Error):
        run_part(part(sqlite3.OperationalError("interrupted")), sandbox)
