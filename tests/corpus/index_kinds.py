"""A whole database for each kind of index, in small pages, so that trees have inner pages."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = 150
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Kind:
    """A table ``t`` and its index; if that has no name here, the one that SQLite makes."""

    table: str
    index: str
    row: Callable[[int], Row]
    pragmas: str = "PRAGMA page_size=512"

    def make(self, path: Path) -> bytes:
        """Write the database, in place of what is there. Returns its bytes."""
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"{self.pragmas}; PRAGMA synchronous=OFF; {self.table}")
            connection.executescript(self.index)
            rows = [self.row(number) for number in range(ROWS)]
            marks = ", ".join("?" * len(rows[0]))
            names = "id, a, b, c"[: 3 * len(rows[0]) - 1].rstrip(",")
            connection.executemany(f"INSERT INTO t ({names}) VALUES ({marks})", rows)
            connection.commit()
        return path.read_bytes()


def roots(path: Path) -> dict[str, int]:
    """The root page of each index, and of a table without rowids, which is one itself."""
    with closing(sqlite3.connect(path)) as connection:
        query = (
            "SELECT name, rootpage FROM sqlite_master"
            " WHERE type = 'index' OR sql LIKE '%WITHOUT ROWID'"
        )
        found = {str(name): int(page) for name, page in connection.execute(query)}
    return found


def _row(number: int) -> Row:
    """Rows that no index has in the order of the table; values that many rows share."""
    at = number * 67 % ROWS
    return number * 3 + 1, at % 40, f"Word {at:03}", at / 4


def _mixed(number: int) -> Row:
    """NULL, numbers of each size, text, bytes: some of them equal, some nearly so."""
    at = number * 67 % ROWS
    value = (
        *(None, at, -at, at / 2, float(at), f"{at}", f"é{at}", f"{at}".encode(), None),
        *(2**63 - 1 - at, -(2**63) + at, 2.0**53, 2**53, 2**53 + 1, -0.0, 9e18, "", b"", "a\0b"),
    )[at % 19]
    return number * 3 + 1, value, f"w{at % 5}", at


def _without_key(number: int) -> Row:
    """Most rows have no key: SQLite allows NULL in a PRIMARY KEY that is not the rowid."""
    key, a, b, c = _row(number)
    return key, a, b if number % 3 == 0 else None, c


def _long(number: int) -> Row:
    key, a, b, c = _row(number)
    return key, a, b + "x" * (number % 4 * 300), c


def _wide(number: int) -> Row:
    key, a, b, c = _row(number)
    return key, a, b + "x" * 70, c


def _backwards(number: int) -> Row:
    return number, ROWS - number, "", 0.5


TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL)"
LOOSE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)"
KEYED = "CREATE TABLE t (id, a INTEGER, b TEXT, c REAL, PRIMARY KEY (b, id)) WITHOUT ROWID"

KINDS = {
    "plain": Kind(TABLE, "CREATE INDEX i ON t (a)", _row),
    "against the rows' order": Kind(TABLE, "CREATE INDEX i ON t (a)", _backwards),
    "unique": Kind(TABLE, "CREATE UNIQUE INDEX i ON t (b)", _row),
    "unique, two columns": Kind(TABLE, "CREATE UNIQUE INDEX i ON t (a, b)", _row),
    "unique, not null": Kind(f"{TABLE[:-1]}, UNIQUE (b))", "", _row),
    "text primary key": Kind("CREATE TABLE t (id, a, b TEXT PRIMARY KEY, c)", "", _row),
    "text primary key with NULLs": Kind(
        "CREATE TABLE t (id, a, b TEXT PRIMARY KEY, c)", "", _without_key
    ),
    "primary key of two columns": Kind(
        "CREATE TABLE t (id, a, b TEXT, c, PRIMARY KEY (b, a))", "", _without_key
    ),
    "descending": Kind(TABLE, "CREATE INDEX i ON t (a DESC)", _row),
    "no case": Kind(TABLE, "CREATE INDEX i ON t (b COLLATE NOCASE)", _row),
    "no case, unique": Kind(
        TABLE.replace("TEXT", "TEXT COLLATE NOCASE UNIQUE"), "CREATE INDEX i ON t (b, a)", _row
    ),
    "no trailing spaces": Kind(TABLE, "CREATE INDEX i ON t (b COLLATE RTRIM DESC, a)", _row),
    "partial": Kind(TABLE, "CREATE INDEX i ON t (a) WHERE c > 5", _row),
    "partial, of its own column": Kind(TABLE, "CREATE INDEX i ON t (a) WHERE a > 5", _row),
    "partial, unique": Kind(TABLE, "CREATE UNIQUE INDEX i ON t (b) WHERE c > 5", _row),
    "expression": Kind(TABLE, "CREATE INDEX i ON t (lower(b), a % 7)", _row),
    "expression, unique": Kind(TABLE, "CREATE UNIQUE INDEX i ON t (b || 'x', a DESC)", _row),
    "three columns": Kind(TABLE, "CREATE INDEX i ON t (a, b DESC, c)", _row),
    "a column twice": Kind(TABLE, "CREATE INDEX i ON t (a, b, a COLLATE NOCASE)", _row),
    "with the row's key": Kind(TABLE, "CREATE INDEX i ON t (a, id)", _row),
    "generated": Kind(f"{TABLE[:-1]}, g AS (a * 2))", "CREATE INDEX i ON t (g, b)", _row),
    "generated, stored": Kind(
        f"{TABLE[:-1]}, g TEXT AS (b || 'g') STORED)", "CREATE UNIQUE INDEX i ON t (g)", _row
    ),
    "reals": Kind(TABLE, "CREATE INDEX i ON t (c)", _row),
    "strict": Kind(
        f"{LOOSE.replace('a, b, c', 'a INT, b TEXT, c ANY')} STRICT",
        "CREATE INDEX i ON t (c, b)",
        _row,
    ),
    "mixed": Kind(LOOSE, "CREATE INDEX i ON t (a)", _mixed),
    "mixed, two columns": Kind(LOOSE, "CREATE INDEX i ON t (a, b)", _mixed),
    "mixed, numeric": Kind(LOOSE.replace("a,", "a NUMERIC,"), "CREATE INDEX i ON t (a)", _mixed),
    "mixed, text": Kind(LOOSE.replace("a,", "a TEXT,"), "CREATE INDEX i ON t (a)", _mixed),
    "mixed, real": Kind(LOOSE.replace("a,", "a REAL,"), "CREATE INDEX i ON t (a)", _mixed),
    "without rowids": Kind(KEYED, "CREATE INDEX i ON t (a)", _row),
    "without rowids, unique": Kind(KEYED, "CREATE UNIQUE INDEX i ON t (a, b)", _row),
    "without rowids, its own": Kind(KEYED, "", _row),
    "overflow": Kind(TABLE, "CREATE INDEX i ON t (b)", _long),
    "three levels": Kind(TABLE, "CREATE INDEX i ON t (b)", _wide),
    "a column called rowid": Kind(
        f"{LOOSE[:-1]}, rowid, _rowid_)".replace("id INTEGER PRIMARY KEY", "id"),
        "CREATE INDEX i ON t (a)",
        _row,
    ),
    "UTF-16": Kind(
        TABLE,
        "CREATE UNIQUE INDEX i ON t (b, a)",
        _row,
        pragmas="PRAGMA page_size=512; PRAGMA encoding='UTF-16le'",
    ),
}
