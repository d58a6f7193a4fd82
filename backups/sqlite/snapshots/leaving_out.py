"""
Leave the rows of login sessions out of a snapshot: their keys are what is in users' cookies.

They are deleted from a copy, never from the live database. A column that refers to a deleted row
becomes NULL, so the copy has no broken references that the live database does not have. No trigger
runs. Where this is not possible, the rows stay, and ``RowsStayError`` says why.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backups.sqlite.format.connection import name_in_sql
from backups.sqlite.format.schema import fold, quote

STATISTICS = ("sqlite_stat3", "sqlite_stat4")  # ANALYZE copies some keys into these
# The tables with pages: a view is not a table, and a virtual table has no root page.
_LIST = "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND rootpage > 0"


class RowsStayError(Exception):
    """The rows can't be left out of this database. The message says why."""


def has_rows(connection: sqlite3.Connection, tables: Collection[str]) -> bool:
    """Whether any of these tables exists and has a row. Ignores views and virtual tables."""
    return bool(_with_rows(connection, tables, "main"))


@contextmanager
def attached(connection: sqlite3.Connection, copy: Path, name: str) -> Iterator[None]:
    """Attach a private copy of the database under this name."""
    connection.execute(f"ATTACH ? AS {name}", (name_in_sql(copy),))
    try:
        yield
    finally:
        with suppress(sqlite3.Error):  # after a failure; closing the connection does it too
            connection.execute(f"DETACH {name}")


def leave_out(
    connection: sqlite3.Connection, tables: Collection[str], *, of: str, overwrite: bool
) -> None:
    """
    Delete all rows of those of these tables that the attached copy has.

    :param connection: with the SQL functions of the site, and in no transaction. It does not
        enforce foreign keys afterwards.
    :param of: the name that the copy is attached under.
    :param overwrite: also overwrite the rows' bytes; not needed if the copy will be compacted.
    :raises RowsStayError: they can't be deleted. The copy may be half changed.
    """
    try:
        if full := _with_rows(connection, tables, of):
            # The copy need not survive a crash.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"secure_delete={overwrite:d}"):
                connection.execute(f"PRAGMA {of}.{pragma}").fetchall()
            connection.execute("PRAGMA foreign_keys=OFF")
            _delete(connection, full, of, overwrite=overwrite)
    except sqlite3.Error as error:
        raise RowsStayError(str(error)) from error


def _delete(connection: sqlite3.Connection, full: list[str], of: str, *, overwrite: bool) -> None:
    """
    SQLite overwrites a whole table that is emptied. But where only some bytes of a page change, it
    may have left copies of them in gaps when it moved rows. Then the file must be rebuilt.
    """
    references = list(_forget_references(connection, full, of))
    statements = [*references, *(f"DELETE FROM {of}.{quote(table)}" for table in full)]  # noqa: S608
    _refuse_triggers(connection, statements)
    for statement in statements:
        connection.execute(statement)
    marks = ", ".join("?" * len(full))
    for table in set(STATISTICS).intersection(_tables(connection, of)):
        if overwrite:  # the next ANALYZE makes them again
            connection.execute(f"DELETE FROM {of}.{table}")  # noqa: S608
        else:
            connection.execute(f"DELETE FROM {of}.{table} WHERE tbl IN ({marks})", full)  # noqa: S608
    if overwrite and references:
        connection.execute(f"VACUUM {of}")


def _with_rows(connection: sqlite3.Connection, tables: Collection[str], of: str) -> list[str]:
    find = _LIST.format(of) + " AND lower(name) = lower(?)"
    there = [name for each in tables for (name,) in connection.execute(find, (each,)).fetchall()]
    look = f"SELECT 1 FROM {of}.%s LIMIT 1"  # noqa: S608
    return [name for name in there if connection.execute(look % quote(name)).fetchall()]


def _tables(connection: sqlite3.Connection, of: str) -> list[str]:
    return [name for (name,) in connection.execute(_LIST.format(of)).fetchall()]


def _forget_references(
    connection: sqlite3.Connection, full: Collection[str], of: str
) -> Iterator[str]:
    """The statements that, in the remaining rows, set references to deleted rows to NULL."""
    deleted = set(map(fold, full))
    for table in _tables(connection, of):
        if fold(table) in deleted:
            continue
        keys: dict[int, list[str]] = {}
        for key, _, target, column, *_ in _pragma(connection, of, "foreign_key_list", table):
            if fold(target) in deleted:
                keys.setdefault(key, []).append(column)
        may_be_null = {
            fold(name)
            for _, name, _, not_null, _, primary in _pragma(connection, of, "table_info", table)
            if not (not_null or primary)
        }
        for columns in keys.values():
            first = next((name for name in columns if fold(name) in may_be_null), None)
            if first is not None:
                name, column = quote(table), quote(first)
                yield f"UPDATE {of}.{name} SET {column} = NULL WHERE {column} IS NOT NULL"  # noqa: S608
            elif _refers(connection, of, table, columns):
                raise RowsStayError(f"rows of {table} refer to them")


def _refers(connection: sqlite3.Connection, of: str, table: str, columns: list[str]) -> bool:
    is_set = " AND ".join(f"{quote(column)} IS NOT NULL" for column in columns)
    query = f"SELECT 1 FROM {of}.{quote(table)} WHERE {is_set} LIMIT 1"  # noqa: S608
    return bool(connection.execute(query).fetchall())


def _pragma(connection: sqlite3.Connection, of: str, name: str, table: str) -> list[Any]:
    return connection.execute(f"PRAGMA {of}.{name}({quote(table)})").fetchall()


def _refuse_triggers(connection: sqlite3.Connection, statements: list[str]) -> None:
    """Compile the statements: SQLite asks before it compiles a trigger's action. Runs nothing."""
    found: list[str] = []

    def authorize(_: int, __: object, ___: object, ____: object, within: str | None) -> int:
        if within is not None:
            found.append(within)
        return sqlite3.SQLITE_OK if within is None else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    try:
        for statement in statements:
            connection.execute(f"EXPLAIN {statement}").fetchall()
    except sqlite3.DatabaseError as error:
        if found:
            raise RowsStayError(f"the trigger {found[0]} would run") from error
        raise
    finally:
        connection.set_authorizer(None)
