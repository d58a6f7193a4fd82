"""Whether SQLite can read a database at all. Asking changes nothing, not even beside it."""

import contextlib
import sqlite3
from pathlib import Path

from backups.sqlite.format.connection import connect, has_content
from backups.sqlite.format.sqlite_errors import blocked, is_ruin, primary_code

NEEDS_WRITING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)  # to recover a hot journal
BUSY_SECONDS = 2.0  # how long to wait for another program's lock before this start gives up


def has_database(path: Path) -> bool:
    """
    Whether there is a database that SQLite can read.

    :raises RestoreBlockedError: as for ``is_readable``.
    """
    return has_content(path) and is_readable(path)


def is_readable(database: Path) -> bool:
    """
    Whether SQLite can read it as a database. Opens it read-only: so SQLite recovers, checkpoints
    and unlinks nothing. Unless the first look succeeds, a second must agree: a disk that fails
    for a moment can make the file look ruined, or in need of recovery.

    :raises RestoreBlockedError: this can't be decided now. Opening a ruined database for writing
        would delete its -wal, which may be all that is left of it.
    """
    first = _probe(database)
    second = first or _probe(database)
    if second is first or second:
        return second is not False
    raise blocked(database, "unable to open database file")


def _probe(database: Path) -> bool | None:
    """None if only a writable connection could tell: a journal is hot, or opening failed."""
    try:
        with contextlib.closing(connect(database, mode="ro", timeout=BUSY_SECONDS)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if is_ruin(error):
            return False
        if primary_code(error) in NEEDS_WRITING:
            return None
        raise blocked(database, error) from error
    return True
