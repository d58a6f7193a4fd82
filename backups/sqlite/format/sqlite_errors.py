"""What an error of SQLite says about a database: that it is ruined, or who has locked it."""

import os
import sqlite3
from pathlib import Path

from backups.disk.lock_holders import describe_holders
from backups.exceptions import RestoreBlockedError

CLOSE_IT = "Close the program that has the database open, then restart the server."


def is_ruin(error: sqlite3.Error) -> bool:
    """Whether SQLite can't read the file as a database, and never will."""
    return primary_code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def primary_code(error: sqlite3.Error | str) -> int:
    """The low byte of the code; 0 for an error without one, and for a message."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def describe_error(error: sqlite3.Error | str, database: Path) -> str:
    """What SQLite says and, if the database is locked, who has locked it."""
    is_busy = primary_code(error) == sqlite3.SQLITE_BUSY
    return f"{error} by {who_uses(database)}" if is_busy else str(error)


def who_uses(database: Path) -> str:
    """Which other processes hold one of SQLite's locks on it, by pid and program."""
    shm = database.with_name(f"{database.name}-shm")
    return describe_holders(database, shm, but=os.getpid())


def blocked(database: Path, error: sqlite3.Error | str) -> RestoreBlockedError:
    """The error of a restore that must wait because SQLite can't use the live database now."""
    reason = describe_error(error, database)
    hint = CLOSE_IT if primary_code(error) == sqlite3.SQLITE_BUSY else None
    return RestoreBlockedError(
        f"SQLite could not settle {database} before it is replaced: {reason}.", hint=hint
    )
