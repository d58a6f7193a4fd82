"""Each kind of index is compared with its table by statements that count."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext

import pytest

from backups.sqlite.checking.indexes import UnclearError, read_indexes

TABLES = """
    CREATE TABLE t (
        id INTEGER PRIMARY KEY, a TEXT, b INTEGER NOT NULL, c NUMERIC, n TEXT COLLATE NOCASE,
        g INTEGER AS (b * 2), s TEXT AS (a || b) STORED
    );
    CREATE TABLE "t ""odd"" (a=?)" (rowid, "b ""(=?)", oid);
    CREATE TABLE loose (name TEXT PRIMARY KEY);
    CREATE TABLE named (name TEXT NOT NULL PRIMARY KEY);
    CREATE TABLE hidden (rowid, oid, _rowid_);
"""
FILL = """
    WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300)
    INSERT INTO t (a, b, c, n) SELECT nullif('A' || (x % 50), 'A7'), x, x / 2.0, 'n' || x FROM n;
    INSERT INTO t (a, b, c, n) VALUES (NULL, 301, NULL, NULL), (x'41', 302, 'text', 9);
    INSERT INTO "t ""odd"" (a=?)" SELECT a, b, n FROM t;
"""
INDEXES = {
    "text": "t (a)",
    "several": "t (a, b DESC, c)",
    "the same twice": "t (b, b)",
    "numbers": "t (c DESC)",
    "collation": "t (n)",
    "collation of its own": "t (a COLLATE NOCASE, b)",
    "spaces at the end": "t (n COLLATE RTRIM)",
    "computed": "t (g)",
    "computed and stored": "t (s, g)",
    "expression": "t (lower(a), b + 1 DESC)",
    "partial": "t (b, a) WHERE c > 3 AND a IS NOT NULL",
    "partial expression": "t (upper(a)) WHERE c > 9 -- comment",
    "rowid": "t (id, a)",
    'odd "name" (=?)': '"t ""odd"" (a=?)" ("b ""(=?)", rowid)',
}
UNIQUE = {
    "unique": "t (b)",
    "unique with NULL": "t (a, b)",
    "unique and partial": "t (b) WHERE a IS NOT NULL",
    "unique expression": "t (b - 1)",
}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.executescript(TABLES + FILL)
        yield opened


def make(connection: sqlite3.Connection, name: str) -> str:
    """Make this index, and return the name of its table."""
    quoted = '"' + name.replace('"', '""') + '"'
    unique = "UNIQUE " * (name in UNIQUE)
    connection.execute(f"CREATE {unique}INDEX {quoted} ON {({**INDEXES, **UNIQUE})[name]}")
    query = "SELECT tbl_name FROM sqlite_master WHERE name = ?"
    (table,) = connection.execute(query, (name,)).fetchone()
    return str(table)


def doubt(connection: sqlite3.Connection, table: str, name: str) -> str:
    (index,) = [each for each in read_indexes(connection, table) if each.name == name]
    return index.find_doubt(connection, {})


@pytest.mark.parametrize("name", [*INDEXES, *UNIQUE])
def test_index_of_any_kind_holds_what_its_table_holds(
    name: str, connection: sqlite3.Connection
) -> None:
    assert doubt(connection, make(connection, name), name) == ""


def spoil(connection: sqlite3.Connection, name: str, change: str) -> None:
    """Change the table while the schema does not have the index."""
    where = "WHERE name = ?"
    connection.execute("PRAGMA writable_schema=ON")
    row = connection.execute(f"SELECT * FROM sqlite_master {where}", (name,)).fetchone()
    connection.execute(f"DELETE FROM sqlite_master {where}", (name,))
    connection.execute("PRAGMA writable_schema=RESET")
    connection.execute(change)
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    connection.execute("PRAGMA writable_schema=RESET")


ONE = "b = (SELECT max(b) - 3 FROM t WHERE c > 9 AND a IS NOT NULL)"
CHANGES = {
    "t": {
        "gone": f"DELETE FROM t WHERE {ONE}",
        "new": "INSERT INTO t (a, b, c, n) VALUES ('A1', 999, 99, 'n')",
        "other": f"UPDATE t SET a = a || 'x', b = b + 1000, c = c + 1, n = n || 'x' WHERE {ONE}",
    },
    't "odd" (a=?)': {
        "gone": 'DELETE FROM "t ""odd"" (a=?)" WHERE oid = \'n9\'',
        "new": 'INSERT INTO "t ""odd"" (a=?)" VALUES (9, 9, 9)',
        "other": 'UPDATE "t ""odd"" (a=?)" SET rowid = \'x\' WHERE oid = \'n9\'',
    },
}


@pytest.mark.parametrize("change", ["gone", "new", "other"])
@pytest.mark.parametrize("name", [*INDEXES, *UNIQUE])
def test_row_that_the_index_does_not_hold_so_is_in_doubt(
    name: str, change: str, connection: sqlite3.Connection
) -> None:
    table = make(connection, name)
    spoil(connection, name, CHANGES[table][change])
    assert doubt(connection, table, name)


@pytest.mark.parametrize("name", UNIQUE)
def test_key_that_is_there_twice_is_in_doubt(name: str, connection: sqlite3.Connection) -> None:
    connection.execute(f"CREATE INDEX i ON {UNIQUE[name]}")
    connection.execute("INSERT INTO t (a, b) VALUES ('A', 1), ('A', 1)")
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'INDEX', 'UNIQUE INDEX') WHERE name = 'i'"
    )
    connection.execute("PRAGMA writable_schema=RESET")
    assert doubt(connection, "t", "i")
    assert connection.execute("PRAGMA integrity_check").fetchone() != ("ok",)


def test_keys_with_a_null_are_not_twice_the_same(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO t (a, b) VALUES (NULL, 1), (NULL, 1)")
    assert doubt(connection, make(connection, "unique with NULL"), "unique with NULL") == ""


def test_value_that_only_the_collation_calls_equal_is_in_doubt(
    connection: sqlite3.Connection,
) -> None:
    table = make(connection, "collation of its own")
    spoil(connection, "collation of its own", f"UPDATE t SET a = lower(a) WHERE {ONE}")
    assert doubt(connection, table, "collation of its own")


@pytest.mark.parametrize(
    ("declared", "is_real"),
    [
        *((name, True) for name in ("REAL", "double precision", "Float")),
        *((name, False) for name in ("FLOATING POINT", "TEXTUAL REAL", "NUMERIC", "")),
    ],
)
def test_real_column_that_is_indexed_is_left_to_sqlite(
    declared: str, connection: sqlite3.Connection, *, is_real: bool
) -> None:
    """It can hold an integer that is read as another number."""
    connection.execute(f"CREATE TABLE numbers (id INTEGER PRIMARY KEY, a {declared}, b)")
    connection.execute("CREATE INDEX i ON numbers (b, a)")
    with pytest.raises(UnclearError, match="REAL") if is_real else nullcontext():
        read_indexes(connection, "numbers")


@pytest.mark.parametrize(("columns", "is_clear"), [(30, True), (60, True), (100, False)])
def test_index_of_many_columns_is_looked_at_at_once(
    columns: int, connection: sqlite3.Connection, *, is_clear: bool
) -> None:
    names = ", ".join(f"c{number}" for number in range(columns))
    connection.execute(f"CREATE TABLE wide ({names})")
    connection.execute(f"CREATE INDEX i ON wide ({names})")
    connection.execute(f"CREATE INDEX j ON wide ({names}, c0 || c1)")
    with nullcontext() if is_clear else pytest.raises(UnclearError, match="so many columns"):
        assert len(read_indexes(connection, "wide")) == 2


def test_table_that_hides_its_rowid_is_left_to_sqlite(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE INDEX i ON hidden (oid)")
    with pytest.raises(UnclearError, match="names of columns"):
        read_indexes(connection, "hidden")


def test_primary_key_without_nulls_is_compared(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO named SELECT 'name ' || b FROM t")
    assert doubt(connection, "named", "sqlite_autoindex_named_1") == ""


@pytest.mark.parametrize("other", ["i", "i\ufffd"], ids=["alone", "beside its namesake"])
def test_index_whose_name_is_not_text_is_left_to_sqlite(
    other: str, connection: sqlite3.Connection
) -> None:
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("CREATE INDEX renamed ON named (name)")
    connection.execute(f'CREATE INDEX "{other}" ON named (name DESC)')
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(
        "UPDATE sqlite_master SET name = cast(x'69ff' AS TEXT),"
        " sql = replace(sql, 'renamed', cast(x'69ff' AS TEXT)) WHERE name = 'renamed'"
    )
    connection.execute("PRAGMA writable_schema=RESET")
    with pytest.raises(UnclearError, match="not text"):
        read_indexes(connection, "named")


def test_primary_key_with_nulls_is_left_to_sqlite(connection: sqlite3.Connection) -> None:
    """SQLite would walk through all NULLs for each of them, and count one entry for another."""
    with pytest.raises(UnclearError, match="another way"):
        read_indexes(connection, "loose")


def test_name_does_not_pass_for_a_part_of_the_plan(connection: sqlite3.Connection) -> None:
    connection.execute('CREATE TABLE feint ("name=?" TEXT PRIMARY KEY)')
    with pytest.raises(UnclearError, match="another way"):
        read_indexes(connection, "feint")


def test_index_of_many_columns_is_compared(connection: sqlite3.Connection) -> None:
    """To look for its key in the plan by a pattern would take for ever."""
    names = ", ".join(f"c{number}" for number in range(60))
    connection.execute(f"CREATE TABLE wide ({names})")
    connection.execute(f"CREATE INDEX i ON wide ({names})")
    connection.execute("INSERT INTO wide (c0, c59) VALUES (1, 2)")
    assert doubt(connection, "wide", "i") == ""


def test_statement_that_sqlite_runs_in_another_way_is_left_to_it(
    connection: sqlite3.Connection,
) -> None:
    """The schema says that it is partial, in other words than SQLite knows."""
    make(connection, "partial")
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = 'CREATE INDEX partial ON t (b, a)' WHERE name = 'partial'"
    )
    with pytest.raises((UnclearError, sqlite3.Error)):
        read_indexes(connection, "t")


def test_entries_that_sqlite_would_leave_out_are_left_to_it(
    connection: sqlite3.Connection,
) -> None:
    """It would search the index for what its WHERE asks for, and not see what else is there."""
    connection.execute("CREATE INDEX i ON t (b) WHERE b > 1")
    with pytest.raises(UnclearError, match="another way"):
        read_indexes(connection, "t")


def test_entries_are_those_of_this_index(connection: sqlite3.Connection) -> None:
    """SQLite answers count(*) from the smallest index, whichever a statement names."""
    make(connection, "several")
    connection.execute("CREATE INDEX small ON t (b)")
    spoil(connection, "several", f"DELETE FROM t WHERE {ONE}")
    assert doubt(connection, "t", "several") == "index several has a wrong number of entries"
