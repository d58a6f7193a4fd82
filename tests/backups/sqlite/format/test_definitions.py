"""The expressions of an index are found in its SQL, whatever is in them."""

import sqlite3
from contextlib import closing

import pytest

from backups.sqlite.format.definitions import Definition, read_definition


@pytest.mark.parametrize(
    ("words", "items", "where"),
    [
        ("(a)", ["a"], ""),
        ("(a, b DESC)", ["a", "b"], ""),
        ("(a COLLATE NOCASE ASC)", ["a COLLATE NOCASE"], ""),
        ("(lower(a), (b + 1) * 2 desc)", ["lower(a)", "(b + 1) * 2"], ""),
        ("(coalesce(a, ')', b))", ["coalesce(a, ')', b)"], ""),
        ('("a,)" /* ), */ , [b(], `c)`)', ['"a,)" /* ), */', "[b(]", "`c)`"], ""),
        ("(\"desc\", 'asc')", ['"desc"', "'asc'"], ""),
        ("(a) WHERE b > 3", ["a"], "b > 3"),
        ("(a) -- where (\n wHeRe\nb IN (1, 2) AND c = ')'", ["a"], "b IN (1, 2) AND c = ')'"),
        ("(a) WHERE b -- the end", ["a"], "b -- the end"),
    ],
)
def test_items_and_condition_are_found(words: str, items: list[str], where: str) -> None:
    for start in ("CREATE INDEX i ON t ", 'CREATE UNIQUE INDEX "i (" ON [t )]'):
        assert read_definition(start + words) == Definition(items, where)


@pytest.mark.parametrize("sql", ["", "CREATE INDEX i ON t", "CREATE INDEX i ON t (a", "(a) b"])
def test_what_is_no_sql_of_an_index_is_an_error(sql: str) -> None:
    with pytest.raises(ValueError, match="SQL of an index"):
        read_definition(sql)


def test_sqlite_agrees_on_where_items_end() -> None:
    """The cases above are indexes to SQLite too."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE t (a, b, c, "a,)", [b(], `c)`, "desc")')
        connection.execute("CREATE INDEX i ON t (coalesce(a, ')', b), \"a,)\" /* ), */ , [b(])")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'i'").fetchone()
        assert len(read_definition(sql).items) == 3
