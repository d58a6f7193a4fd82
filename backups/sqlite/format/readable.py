"""Whether SQLite can read a database at all. Asking changes nothing, not even beside it."""

import contextlib
import sqlite3
from pathlib import Path

from backups.sqlite.format.connection import connect
from backups.sqlite.format.sqlite_errors import blocked, is_ruin, primary_code

NEEDS_WRITING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)  # to recover what is hot
BUSY_SECONDS = 2.0  # how long to wait for another program's lock before giving up for this start


def is_readable(database: Path) -> bool:
    """
    Whether SQLite can read it as a database. Opened read-only: that neither recovers nor
    checkpoints, and its close unlinks nothing. If the answer is no, it looks twice: a disk
    that fails for a moment can look like a ruin, or like what has to be recovered first.

    :raises RestoreBlockedError: it is not known now. To open a ruined database for writing
        would be the end of its -wal, which may be all that is left of it.
    """
    first = _probe(database)
    second = first or _probe(database)
    if second is first or second:
        return second is not False
    raise blocked(database, "unable to open database file")


def _probe(database: Path) -> bool | None:
    """
    None if only a writable connection could tell: a hot journal must be recovered first, or the
    file can't be opened.
    """
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
