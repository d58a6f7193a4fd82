"""An index that no INSERT could use is damage, though it has no entry that could be wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backups.sqlite.checking.inspection import inspect
from backups.sqlite.checking.messages import Question
from tests.backups import builders

INDEXES = {
    "of an empty table": "CREATE TABLE t (a); CREATE INDEX i ON t (a)",
    "partial, for no row": "CREATE TABLE t (a); INSERT INTO t VALUES (1);"
    " CREATE INDEX i ON t (a) WHERE a > 5",
    "with an expression": "CREATE TABLE t (a); CREATE INDEX i ON t (a + 1)",
    "UNIQUE": "CREATE TABLE t (a); CREATE UNIQUE INDEX i ON t (a)",
    "of a table without rowids": "CREATE TABLE t (a PRIMARY KEY, b) WITHOUT ROWID;"
    " CREATE INDEX i ON t (b)",
}


def with_index(path: Path, script: str, kind: int) -> Path:
    """A database whose index i has a root page of this kind: 10 is right, 13 is a table's."""
    builders.healthy(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'i'"
        (root,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    at = (root - 1) * size
    assert content[at] == 10
    content[at] = kind
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("script", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("is_ours", [False, True])
def test_index_that_is_a_table_is_damage(script: str, is_ours: bool, tmp_path: Path) -> None:
    path = with_index(tmp_path / "x.db", script, 13)
    (damage, *_) = inspect(Question(str(path), 60.0, is_ours=is_ours)).damage
    assert damage


@pytest.mark.parametrize("script", INDEXES.values(), ids=INDEXES)
def test_index_without_entries_is_none(script: str, tmp_path: Path) -> None:
    path = with_index(tmp_path / "x.db", script, 10)
    assert inspect(Question(str(path), 60.0)).damage == []
