"""
Whether a schema can be rebuilt, as ``VACUUM INTO`` does for every later backup.

SQLite is lenient when it reads a schema: a table whose column calls a function that nobody knows
passes ``integrity_check``, and fails the first INSERT and the next backup.

Source: https://www.sqlite.org/lang_vacuum.html
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from backups.sqlite.format.schema import Schema

ALLOWED = {
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_FUNCTION,
    # of SQLite's own table of the schema, and no other is there
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_READ,
}
# Before 3.12 Python has a Warning, which is not a sqlite3.Error, for two statements in one string.
ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError)


def find_unbuildable(
    schema: Schema, prepare: Callable[[sqlite3.Connection], None]
) -> tuple[str, str] | None:
    """
    Make each table with its indexes in an empty database in memory, one by one.

    :param prepare: sets limits and functions on a connection.
    :returns: the name of the first table that can't be made, and why; None if all can.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        prepare(empty)
        empty.set_authorizer(_authorize)
        for name, sql in schema.tables.items():
            if name.startswith("sqlite_"):
                continue  # SQLite's own, which it makes itself
            try:
                empty.execute("BEGIN")
                for statement in (sql, *schema.indexes.get(name, ())):
                    empty.execute(statement)
                empty.execute("ROLLBACK")
            except ERRORS as error:
                return name, str(error)
    return None


def _authorize(
    action: int, _: str | None, __: str | None, ___: str | None, ____: str | None
) -> int:
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
