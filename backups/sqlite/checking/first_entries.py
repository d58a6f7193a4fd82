"""
Read the first entry of each index.

An index without entries can have a page of another kind. ``integrity_check`` of SQLite 3.53 finds
nothing wrong with it, and the site's first INSERT fails: the database disk image is malformed.
"""

import sqlite3
from contextlib import suppress

from backups.sqlite.checking.findings import sentence
from backups.sqlite.format.definitions import read_definition
from backups.sqlite.format.schema import quote

QUERY = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'"


def find_unreadable_index(connection: sqlite3.Connection) -> list[str]:
    """
    Return what SQLite says of the first index that it can't read; empty if there is none.

    :raises sqlite3.Error: SQLite can't go on, for another reason than the content of the file.
    """
    for name, table, sql in connection.execute(QUERY).fetchall():
        index = f"{quote(table)} INDEXED BY {quote(name)}"
        statement = f"SELECT 1 FROM {index}{_where(sql)} LIMIT 1"  # noqa: S608
        try:
            connection.execute(statement).fetchone()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_CORRUPT:
                return [sentence(f"SQLite can't read index {name}: {error}")]
            if code != sqlite3.SQLITE_ERROR:  # that one: it can't use this index so
                raise
    return []


def _where(sql: str | None) -> str:
    """The condition of a partial index, without which SQLite does not read it."""
    with suppress(ValueError):
        if sql and (where := read_definition(sql).where):
            return f" WHERE {where}\n"
    return ""
