"""Whether a schema could be made anew, told without making anything but in memory."""

import sqlite3
from pathlib import Path

import pytest

from backups.sqlite.checking.rebuild import find_unbuildable
from backups.sqlite.format.schema import Schema


def nothing(connection: sqlite3.Connection) -> None:
    """No limits, and no functions."""


def test_schema_of_any_site_can_be_made_anew() -> None:
    schema = Schema(
        tables={
            "sqlite_sequence": "CREATE TABLE sqlite_sequence (name, seq)",
            "a": "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, b CHECK (json_valid(b)))",
            "c": "CREATE TABLE c (d TEXT REFERENCES a (id), e TEXT AS (lower(d)) STORED) STRICT",
        },
        indexes={"a": ["CREATE INDEX by_b ON a (lower(b), length(b) DESC) WHERE b IS NOT NULL"]},
    )
    assert find_unbuildable(schema, nothing) == ""


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE t (a, b AS (harm(a)))", "function: harm"),
        ("CREATE TABLE t (a); CREATE TABLE u (a)", "one statement at a time"),
        ("CREATE TABLE t AS SELECT 1 AS a", "authoriz"),
        ("CREATE TABLE t (a)\0", "null character"),
        ("DROP TABLE t", "no such table"),
    ],
)
def test_table_that_cannot_is_named_with_the_reason(sql: str, reason: str) -> None:
    finding = find_unbuildable(Schema(tables={"t": sql}), nothing)
    assert finding.startswith("the table t can't be rebuilt: ")
    assert reason in finding


def test_index_that_cannot_is_told_as_its_table() -> None:
    schema = Schema(tables={"t": "CREATE TABLE t (a)"}, indexes={"t": ["CREATE INDEX i ON t (b)"]})
    finding = find_unbuildable(schema, nothing)
    assert finding == "the table t can't be rebuilt: no such column: b"


@pytest.mark.parametrize(
    "sql", ["ATTACH 'evil.db' AS evil", "VACUUM INTO 'evil.db'", "PRAGMA writable_schema=ON"]
)
def test_statement_that_makes_no_table_is_denied(
    sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_unbuildable(Schema(tables={"t": sql}), nothing)
    assert not list(tmp_path.iterdir())
