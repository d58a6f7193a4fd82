"""
The live database, settled: every committed row is in its main file, no sidecar is left to be
replayed into the next database, and SQLite's EXCLUSIVE lock keeps out programs that ignore our
presence lock, such as the ``sqlite3`` shell.

Only a process that is alone (presence.py) and has no connection open calls this.

Sources: https://www.sqlite.org/wal.html#the_wal_file,
https://www.sqlite.org/lockingv3.html#hot_journals
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from backups.disk import files
from backups.exceptions import RestoreBlockedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format import readable
from backups.sqlite.format.connection import connect
from backups.sqlite.format.sqlite_errors import CLOSE_IT, blocked, is_ruin, who_uses


@contextlib.contextmanager
def settled(paths: StorePaths) -> Iterator[int | None]:
    """
    Hold the database settled for the block, and yield its descriptor.

    Yields None if the database turns out to be ruined. SQLite then has it open until the end of
    the block: its close would unlink the -wal, so the files can be copied before that.

    If the block fails, the database is as it was. The descriptor is opened before SQLite opens the
    file and closed after it: closing any descriptor of a database drops the locks that SQLite
    holds on it in this process.

    :raises RestoreBlockedError: another program has it open, or SQLite can't write it now.
    """
    with ExitStack() as stack:
        descriptor = os.open(paths.database, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        connection = _connect(paths)
        stack.callback(connection.close)
        journal_mode = _recover(connection, paths.database)
        if journal_mode is None:
            yield None
            return
        try:
            yield _settle(connection, descriptor, paths)
        except BaseException:
            if is_live(paths.database, descriptor):
                _unsettle(connection, journal_mode)
            raise


def _recover(connection: sqlite3.Connection, database: Path) -> str | None:
    """Recover a hot journal. Returns the journal mode to go back to; None if it is ruined."""
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error as error:
        if is_ruin(error):
            return None
        raise blocked(database, error) from error
    return str(journal_mode)


def _settle(connection: sqlite3.Connection, descriptor: int, paths: StorePaths) -> int | None:
    """Returns the descriptor; None if the database turns out to be ruined."""
    try:
        _fold_into_one_file(connection, paths)
    except sqlite3.Error as error:
        if is_ruin(error):
            return None
        raise blocked(paths.database, error) from error
    files.sync(descriptor)  # invariant 2 of apply_at_start.py
    files.sync_folder(paths.folder)  # invariant 1: SQLite does not sync the unlinks of its sidecars
    return descriptor


def _fold_into_one_file(connection: sqlite3.Connection, paths: StorePaths) -> None:
    """Leave every committed row in the main file, exclusively locked."""
    leave_wal_mode(connection, paths.database)
    connection.execute("BEGIN EXCLUSIVE")
    wal, shm, journal = paths.sidecars
    files.unlink(shm)  # SQLite does not report if it could not; without a -wal it is useless
    files.unlink(journal)  # left by PERSIST or TRUNCATE; the lock proves that it is not hot
    if files.exists(wal) and not wal.stat().st_size:
        files.unlink(wal)  # left by a power cut before the database entered WAL mode
    if files.exists(wal):
        raise RestoreBlockedError(f"{wal} is still there after a checkpoint.")


def _unsettle(connection: sqlite3.Connection, journal_mode: str) -> None:
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if journal_mode == "wal":
            connection.execute("PRAGMA journal_mode=WAL")


def is_live(database: Path, descriptor: int) -> bool:
    """
    Whether this open file is still the live one. Tries twice, since a disk may fail for a moment.

    :raises OSError: it is not known.
    """
    with contextlib.suppress(OSError):
        return files.is_named(database, descriptor)
    return files.is_named(database, descriptor)


def leave_wal_mode(connection: sqlite3.Connection, database: Path) -> None:
    """
    Bring the rows of the -wal into the main file, and unlink -wal and -shm.

    :raises RestoreBlockedError: another program has the database open.
    :raises sqlite3.Error: SQLite can't; the database stays in WAL mode, with all its rows.
    """
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise RestoreBlockedError(
            f"Another program reads {database}: it is locked by {who_uses(database)}.",
            hint=CLOSE_IT,
        )
    (now,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    if now != "delete":
        raise RestoreBlockedError(f"{database} stays in journal mode {now}.")


def enter_wal_mode(paths: StorePaths) -> None:
    """
    Put the database back into WAL mode, durably, if possible: without it the site is only slower.

    SQLite does not sync the unlink of its journal. If the journal came back after a power cut, it
    would undo what the site has written since. So the folder is synced before anybody writes.
    """
    with contextlib.suppress(sqlite3.Error, OSError, RestoreBlockedError):
        if readable.has_database(paths.database):
            with contextlib.closing(_connect(paths)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            files.sync_folder(paths.folder)


def _connect(paths: StorePaths) -> sqlite3.Connection:
    return connect(paths.database, timeout=readable.BUSY_SECONDS)
