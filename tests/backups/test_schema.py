"""What a schema makes: told from its SQL, whatever a row claims to be."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backups.sqlite.schema import Program, fold, quote, read_schema, sort_out


def test_real_schema_is_told_apart(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript(
            """
            CREATE TABLE plain (a PRIMARY KEY, b AS (a + 1) VIRTUAL);
            CREATE UNIQUE INDEX by_b ON plain (b);
            CREATE VIEW seen AS SELECT * FROM plain;
            CREATE TRIGGER acts AFTER INSERT ON plain BEGIN SELECT 1; END;
            CREATE VIRTUAL TABLE words USING fts5 (a);
            """
        )
        schema = read_schema(connection)
    assert set(schema.tables) == {
        "plain",
        *(f"words_{part}" for part in ("data", "idx", "content", "docsize", "config")),
    }
    assert schema.indexes == {"plain": ["CREATE UNIQUE INDEX by_b ON plain (b)"]}
    assert sorted(map(str, schema.programs)) == ["trigger acts", "view seen", "virtual table words"]
    assert Program("view", "seen", "CREATE VIEW seen AS SELECT * FROM plain") in schema.programs


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "create temp trigger x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE /* TABLE ( */ TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE -- TABLE (\n TEMPORARY/**/TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "\n\t CREATE/*/*/TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    ],
)
def test_trigger_is_told_by_its_sql_and_not_by_its_row(sql: str) -> None:
    schema = sort_out([("x", "t", 7, sql)])
    assert schema.programs == [Program("trigger", "x", sql)]
    assert not schema.tables


@pytest.mark.parametrize("rootpage", [0, None, -1, "2"])
def test_table_without_a_page_is_none(rootpage: object) -> None:
    assert not sort_out([("x", "x", rootpage, "CREATE TABLE x (a)")]).tables


@pytest.mark.parametrize("sql", [None, "", "DROP TABLE x", "CREATE", "CREATE TABLES x", b"CREATE"])
def test_what_creates_nothing_is_nothing(sql: object) -> None:
    schema = sort_out([("x", "x", 2, sql)])
    assert not schema.tables
    assert not schema.programs


def test_sql_of_comments_without_end_is_read_in_no_time() -> None:
    """A pattern that tries every way to part them would not come back."""
    assert not sort_out([("x", "x", 2, "CREATE " + "/* a */ " * 20_000 + "/*")]).programs


def test_names_are_compared_as_sqlite_does() -> None:
    assert fold("Tasks_Ä") == fold("TASKS_Ä")
    assert fold("ä") != fold("Ä")


def test_quoted_name_is_one_word(tmp_path: Path) -> None:
    name = 'a"; DROP TABLE b; --'
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(f"CREATE TABLE {quote(name)} (a)")
        assert list(read_schema(connection).tables) == [name]
