"""
Whether a schema can be rebuilt, as ``VACUUM INTO`` does for every compact snapshot.

SQLite is lenient when it reads a schema: a table whose column calls an unknown function passes
``integrity_check``, but then the first INSERT and the next snapshot fail.

Source: https://www.sqlite.org/lang_vacuum.html
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from backups.sqlite.checking.findings import sentence
from backups.sqlite.format.schema import Schema

ALLOWED = {
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_FUNCTION,
    # On the schema's own table: there is no other to read or write.
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_READ,
}
# For two statements in one string, Python before 3.12 raises a Warning that is no sqlite3.Error.
ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError)


def find_unbuildable(schema: Schema, prepare: Callable[[sqlite3.Connection], None]) -> str:
    """
    Make each table with its indexes in an empty database in memory, one by one.

    :param prepare: sets limits and functions on a connection.
    :returns: a finding that names the first table that can't be made, and why; empty if all can.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        prepare(empty)
        empty.set_authorizer(_authorize)
        for name, sql in schema.tables.items():
            if name.startswith("sqlite_"):
                continue  # SQLite makes its internal tables itself
            try:
                empty.execute("BEGIN")
                for statement in (sql, *schema.indexes.get(name, ())):
                    empty.execute(statement)
                empty.execute("ROLLBACK")
            except ERRORS as error:
                return sentence(f"the table {name} can't be rebuilt: {error}")
    return ""


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
