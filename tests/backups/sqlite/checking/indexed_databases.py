"""Whole databases with indexes, and ways to spoil one."""

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

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


def indexed(path: Path) -> Path:
    """A whole database with indexes, in which nothing is wrong."""
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
