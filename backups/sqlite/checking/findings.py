"""What SQLite's checks find in a database, and whether the file, disk or memory is to blame."""

import contextlib
import re
import sqlite3
from contextlib import closing
from typing import Any, Protocol

from backups.sqlite.format.schema import quote, read_schema

UNREAD = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)  # primary codes
# Extended codes, by number: pysqlite3 has no names for them.
IOERR_SHORT_READ, IOERR_WRITE, IOERR_NOMEM = 522, 778, 3082
OF_THE_FILE = (IOERR_WRITE, IOERR_SHORT_READ)  # our limit on its length was hit; it is cut off
MOST_FINDINGS = 5  # enough to show what is wrong; a ruined file has millions
MOST_COUNTED = 10_000  # findings that are only counted
MOST_LETTERS = 300  # of one finding, which may quote the file
UNKNOWN = re.compile(r"(?:no such|unknown) (collation|function|module)(?: sequence)?: ([^\s()]+)")
MISMATCH = "foreign key mismatch"  # the parent has no such key: SQLite can't look for its rows


class Opened(Protocol):
    """An open database to check: a sandbox, or the live one."""

    connection: sqlite3.Connection

    def bring_functions(self, module: str) -> None: ...


def find_damage(sandbox: Opened, functions: str, check: str) -> list[str]:
    """
    Run a pragma such as ``quick_check(5)``, and return what it found, trees and pages first.

    :param functions: the module whose ``register(connection)`` adds the site's SQL functions.
    :raises sqlite3.Error: SQLite can't go on.
    """
    rows = _ask(sandbox, functions, check)
    return [] if rows == [("ok",)] else [sentence(finding) for (finding,) in rows]


def find_broken_references(sandbox: Opened, functions: str, *, of: str = "main") -> list[str]:
    """
    Return the rows that refer to nothing, of a file without damage.

    :param functions: as for ``find_damage``.
    :param of: ``main``, or the name of an attached database with the same tables.
    :raises sqlite3.Error: SQLite can't go on.
    """
    try:
        return _broken_references(sandbox, functions, f"{of}.foreign_key_check")
    except sqlite3.Error as error:
        if MISMATCH not in str(error):
            raise
    return _references_one_by_one(sandbox, functions, of)


def _references_one_by_one(sandbox: Opened, functions: str, of: str) -> list[str]:
    """So that a table that can't be checked does not hide what is wrong in the others."""
    found: list[str] = []
    for table in read_schema(sandbox.connection).tables:
        check = f"{of}.foreign_key_check({quote(table)})"
        try:
            found += _broken_references(sandbox, functions, check)
        except sqlite3.Error as error:
            if MISMATCH not in str(error):
                raise
            found.append(sentence(error))
    return found


def _broken_references(sandbox: Opened, functions: str, pragma: str) -> list[str]:
    return [
        f"row {rowid} of {_name(table)} refers to a row of {_name(parent)} that is not there"
        for table, rowid, parent, _ in _ask(sandbox, functions, pragma)
    ]


def find_unknown(message: str) -> str:
    """The collation, function or module that SQLite says it does not know; empty if none."""
    return f"{match[1]} {match[2]}" if (match := UNKNOWN.search(message)) else ""


def find_unread(damage: list[str]) -> str:
    """
    The finding that reports an error of the disk; integrity_check goes on after one.

    :raises MemoryError: a finding says that there is no memory left.
    """
    for finding in damage:
        if match := re.search(r"error code=(\d+)", finding):
            if is_of_memory(int(match[1])):
                raise MemoryError
            if is_of_the_disk(int(match[1])):
                return f"disk I/O error ({finding})"
    return ""


def is_of_the_disk(code: int) -> bool:
    """Whether an extended result code blames the disk, and not the content of the file."""
    return code & 0xFF in UNREAD and code not in OF_THE_FILE


def is_of_memory(code: int) -> bool:
    """Whether an extended result code says that there is no memory left."""
    return code & 0xFF == sqlite3.SQLITE_NOMEM or code == IOERR_NOMEM


def sentence(finding: object) -> str:
    """A finding as one short line, whatever the file has put into it."""
    return clip(" ".join(str(finding).split()))


def listed(findings: list[str]) -> str:
    """The first few findings, for an error message."""
    return "; ".join(finding.rstrip(".") for finding in findings[:MOST_FINDINGS])


def clip(text: str, most: int = MOST_LETTERS) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _name(table: str) -> str:
    """A name that leaves room for another in one sentence."""
    return clip(sentence(table), MOST_LETTERS // 3)


def _ask(sandbox: Opened, functions: str, pragma: str) -> list[Any]:
    """Run a pragma. Loads the site's SQL functions only if the schema needs them."""
    try:
        return _rows(sandbox.connection, pragma)
    except sqlite3.Error as error:
        if not functions or not find_unknown(str(error)):
            raise
        with contextlib.suppress(ImportError):
            sandbox.bring_functions(functions)
    return _rows(sandbox.connection, pragma)


def _rows(connection: sqlite3.Connection, pragma: str) -> list[Any]:
    with closing(connection.execute(f"PRAGMA {pragma}")) as cursor:
        return cursor.fetchmany(MOST_COUNTED)
