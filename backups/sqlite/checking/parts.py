"""
The quicker check of a large file, in parts that several processes can share.

``integrity_check`` finds what ``quick_check`` finds in the whole file (each tree, each page that
is used twice or not at all, each row, NOT NULL and CHECK), and rows and indexes that disagree. So
the parts are ``quick_check``, the comparison of each index with its table, and
``foreign_key_check``. If an index can't be compared, its table gets ``integrity_check`` instead.

A part finds a doubt or none. If there is a doubt, ``integrity_check`` of the whole file decides.
So a false doubt costs time, but never refuses a file.

Source: https://www.sqlite.org/pragma.html#pragma_quick_check
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from backups.sqlite.checking import plans
from backups.sqlite.checking.findings import (
    find_broken_references,
    find_damage,
    find_unknown,
    is_of_memory,
    sentence,
)
from backups.sqlite.checking.indexes import NOT_TEXT, Index, UnclearError, read_indexes
from backups.sqlite.checking.sandbox import Sandbox
from backups.sqlite.format.schema import quote

MOST_PARTS = 1_000  # the numbers of all parts fit into a pipe at once
UNDIVIDED = "the check can't be divided into parts"
STRUCTURE = "quick_check(1)"
ROWS_A_PAGE = 16  # quick_check of a page takes as long as comparing 16 rows with an index


@dataclass(frozen=True)
class Part:
    """A part of the quicker check."""

    name: str
    cost: int  # a guess, in rows that are compared
    find_doubt: Callable[[Sandbox], str]  # returns an empty text if there is none
    table: str = ""  # the table that gets integrity_check, if this part is one


def find_parts(connection: sqlite3.Connection, functions: str) -> list[Part]:
    """
    Return the parts, the longest first; an empty list if the check can't be divided. Then this
    SQLite is older than ``KNOWN``, there are too many parts, or the name of a table is not text.

    :param functions: the module whose ``register(connection)`` adds the site's SQL functions.
    """
    rows = connection.execute("PRAGMA table_list").fetchall()
    tables = [(name, kind, not wr) for of, name, kind, _, wr, *_ in rows if of == "main"]
    is_nameable = not any(set(name) & NOT_TEXT for name, *_ in tables)
    if sqlite3.sqlite_version_info < plans.KNOWN or not is_nameable:
        return []
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'index'"
    if connection.execute(query).fetchone()[0] >= MOST_PARTS:  # don't plan them all for nothing
        return []
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    counted: dict[str, int] = {}
    parts = [
        Part("structure", pages * ROWS_A_PAGE, partial(_ask, functions, STRUCTURE)),
        Part("references", pages, partial(_ask_for_references, functions)),
    ]
    for name, kind, has_rowids in tables:
        if kind != "view" and name not in ("sqlite_schema", "sqlite_master"):
            parts += _parts_of(connection, functions, counted, name, kind, has_rowids=has_rowids)
    return sorted(parts, key=lambda part: -part.cost) if len(parts) < MOST_PARTS else []


def find_doubts(sandbox: Sandbox, functions: str = "") -> list[str]:
    """
    Run all parts in this process. Returns no doubts only if the file is whole.

    :raises sqlite3.Error: the time is over, or SQLite lacks a function or a collation.
    """
    parts = find_parts(sandbox.connection, functions)
    doubts = [doubt for part in parts if (doubt := run_part(part, sandbox))]
    return doubts if parts else [UNDIVIDED]


def run_part(part: Part, sandbox: Sandbox) -> str:
    """
    Return the doubt that this part finds; empty if there is none.

    :raises sqlite3.Error: the time is over, there is no memory left, or SQLite lacks a function or
        a collation. ``integrity_check`` would fail too. Any other error is a doubt.
    """
    try:
        return part.find_doubt(sandbox)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if sandbox.is_late or is_of_memory(code) or find_unknown(str(error)):
            raise
        return sentence(f"{part.name}: {error}")


def _parts_of(
    connection: sqlite3.Connection,
    functions: str,
    counted: dict[str, int],
    table: str,
    kind: str,
    *,
    has_rowids: bool,
) -> list[Part]:
    """One part for each index, or one for the table; none for a table without indexes."""
    rows = _last_row(connection, table)
    try:
        if kind == "virtual" or not has_rowids:
            raise UnclearError  # a join can't tell what is right there
        indexes = read_indexes(connection, table)
    except (UnclearError, sqlite3.Error):
        check = partial(_ask, functions, f"integrity_check({quote(table)})")
        return [Part(f"table {table}", rows * 8, check, table=table)]
    return [Part(f"index {each.name}", rows, partial(_compare, each, counted)) for each in indexes]


def _ask(functions: str, pragma: str, sandbox: Sandbox) -> str:
    return next(iter(find_damage(sandbox, functions, pragma)), "")


def _ask_for_references(functions: str, sandbox: Sandbox) -> str:
    return next(iter(find_broken_references(sandbox, functions)), "")


def _compare(index: Index, counted: dict[str, int], sandbox: Sandbox) -> str:
    return index.find_doubt(sandbox.connection, counted)


def _last_row(connection: sqlite3.Connection, table: str) -> int:
    """The highest rowid, as a guess at how many rows the table has; 0 if it has none."""
    with suppress(sqlite3.Error):
        query = f"SELECT rowid FROM {quote(table)} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        (last,) = connection.execute(query).fetchone() or (0,)
        return last if isinstance(last, int) else 0
    return 0
