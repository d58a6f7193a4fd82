"""What SQLite's own check says of a database, and whether that is of the file at all."""

import contextlib
import re
import sqlite3
from contextlib import closing
from typing import Any, Protocol

from backups.sqlite.checking.messages import find_unknown
from backups.sqlite.format.schema import quote, read_schema

UNREAD = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)  # primary codes
# Extended codes, by number: pysqlite3 has no names for them.
IOERR_SHORT_READ, IOERR_WRITE, IOERR_NOMEM = 522, 778, 3082
# Although they are SQLITE_IOERR: our limit on length, and a cut-off.
OF_THE_FILE = (IOERR_WRITE, IOERR_SHORT_READ)
MOST_FINDINGS = 5  # enough to tell what is wrong; a ruined file has millions
MOST_COUNTED = 10_000  # of what is only counted
MOST_LETTERS = 300  # of one finding, which may quote the file
MISMATCH = "foreign key mismatch"  # a parent without the key: SQLite can't look for its rows


class Opened(Protocol):
    """An open database that can be checked: a sandbox, or the live one."""

    connection: sqlite3.Connection

    def bring_functions(self, module: str) -> None: ...


def find_damage(sandbox: Opened, functions: str, check: str) -> list[str]:
    """
    Run a check, and return what it found. What is wrong with trees and pages comes first.

    :param functions: the module whose ``register(connection)`` gives the site's SQL functions.
    :param check: a pragma, such as ``quick_check(5)``.
    :raises sqlite3.Error: SQLite can't go on.
    """
    rows = _ask(sandbox, functions, check)
    return [] if rows == [("ok",)] else [sentence(finding) for (finding,) in rows]


def find_broken_references(sandbox: Opened, functions: str, *, of: str = "main") -> list[str]:
    """
    Return the rows that refer to nothing. For a file that has no damage.

    :param functions: as above.
    :param of: ``main``, or the name of a database that is attached and has the same tables.
    :raises sqlite3.Error: SQLite can't go on.
    """
    try:
        return _broken_references(sandbox, functions, f"{of}.foreign_key_check")
    except sqlite3.Error as error:
        if MISMATCH not in str(error):
            raise
    return _references_one_by_one(sandbox, functions, of)


def _references_one_by_one(sandbox: Opened, functions: str, of: str) -> list[str]:
    """Table by table: one that can't be checked must not hide what is wrong in the others."""
    found: list[str] = []
    for table in read_schema(sandbox.connection).tables:
        try:
            check = f"{of}.foreign_key_check({quote(table)})"
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


def find_unread(damage: list[str]) -> str:
    """
    The finding that is of the disk, if there is one: integrity_check goes on after it.

    :raises MemoryError: there is one that says that there is no memory left.
    """
    for finding in damage:
        if match := re.search(r"error code=(\d+)", finding):
            if is_of_memory(int(match[1])):
                raise MemoryError
            if is_of_the_disk(int(match[1])):
                return f"disk I/O error ({finding})"
    return ""


def is_of_the_disk(code: int) -> bool:
    """Whether an extended result code is of the disk, and not of what is in the file."""
    return code & 0xFF in UNREAD and code not in OF_THE_FILE


def is_of_memory(code: int) -> bool:
    """Whether an extended result code says that there is no memory left."""
    return code & 0xFF == sqlite3.SQLITE_NOMEM or code == IOERR_NOMEM


def sentence(finding: object) -> str:
    """One line of a bounded length that can be shown, whatever the file has put into it."""
    return clip(" ".join(str(finding).split()))


def clip(text: str, most: int = MOST_LETTERS) -> str:
    """Not more than ``most`` letters."""
    return text if len(text) <= most else text[:most] + "…"


def _name(table: str) -> str:
    """So that a sentence of two names is whole."""
    return clip(sentence(table), MOST_LETTERS // 3)


def _ask(sandbox: Opened, functions: str, pragma: str) -> list[Any]:
    """A schema may use SQL functions of the site: they are loaded only where they are needed."""
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
