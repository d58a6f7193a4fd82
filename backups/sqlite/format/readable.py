"""
The live database, settled: every committed row is in its main file, no sidecar is left to be
replayed into the next database, and SQLite's EXCLUSIVE lock keeps out programs that know
nothing of our presence lock, such as the ``sqlite3`` shell.

Only a process that is alone (presence.py) calls this, and has no connection open.

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
from backups.disk.lock_holders import describe_holders
from backups.exceptions import RestoreBlockedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import connect, has_content

RUINED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
NEEDS_WRITING = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)  # to recover what is hot
BUSY_SECONDS = 2.0  # how long to wait for another program's lock before giving up for this start
CLOSE_IT = "Close the program that has the database open, then restart the server."


class RuinedError(Exception):
    """SQLite can't read the live database; its bytes have to be kept as they are."""


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
    if second is not first:
        if second:
            return True
        raise RestoreBlockedError(
            f"SQLite could not settle {database} before it is replaced: unable to open database"
            " file."
        )
    return first is not False


def _probe(database: Path) -> bool | None:
    """None if only a writable connection could tell: a hot journal must be recovered first, or the
    file can't be opened."""
    try:
        with contextlib.closing(connect(database, mode="ro", timeout=BUSY_SECONDS)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if _code(error) in RUINED:
            return False
        if _code(error) in NEEDS_WRITING:
            return None
        raise _explain(error, database) from error
    return True


def is_live(database: Path, descriptor: int) -> bool:
    """
    Whether this open file is the live one still. Asked again if that is not known: the way back
    depends on it, and a disk may fail for a moment.

    :raises OSError: that is not known.
    """
    with contextlib.suppress(OSError):
        return files.is_named(database, descriptor)
    return files.is_named(database, descriptor)


def who_uses(database: Path) -> str:
    """Which other processes have a lock of SQLite's on it, by pid and program."""
    shm = database.with_name(f"{database.name}-shm")
    return describe_holders(database, shm, but=os.getpid())


def describe_error(error: sqlite3.Error, database: Path) -> str:
    """What SQLite says, and if the database is locked also by whom."""
    is_busy = _code(error) == sqlite3.SQLITE_BUSY
    return f"{error} by {who_uses(database)}" if is_busy else str(error)


def _code(error: sqlite3.Error) -> int:
    """The primary code, which is the low byte. 0 if there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextlib.contextmanager
def settled(paths: StorePaths) -> Iterator[int | None]:
    """
    Hold the database settled, as the top of this module says, and yield its descriptor.

    Yields None if it turns out to be ruined. SQLite has it open then until the end of the block,
    so that its files can be copied before that close, which would unlink the -wal.

    If the block fails, the database is given back as it was. The descriptor is opened before
    SQLite opens the file and closed after it: closing any descriptor of a database drops the
    locks that SQLite holds on it in this process.

    :raises RestoreBlockedError: another program has it open, or SQLite can't write it now.
    """
    with ExitStack() as stack:
        descriptor = os.open(paths.database, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        connection = connect(paths.database, timeout=BUSY_SECONDS)
        stack.callback(connection.close)
        try:
            journal_mode = _recover(connection, paths.database)
        except RuinedError:
            yield None
            return
        try:
            yield _settle(connection, descriptor, paths)
        except BaseException:
            if is_live(paths.database, descriptor):
                _unsettle(connection, journal_mode)
            raise


def _settle(connection: sqlite3.Connection, descriptor: int, paths: StorePaths) -> int | None:
    try:
        _fold_into_one_file(connection, paths)
    except sqlite3.Error as error:
        explained = _explain(error, paths.database)
        if isinstance(explained, RuinedError):
            return None
        raise explained from error
    files.sync(descriptor)
    files.sync_folder(paths.folder)  # SQLite does not sync its unlinks
    return descriptor


def _recover(connection: sqlite3.Connection, database: Path) -> str:
    """Recover what is hot, and tell the journal mode to give the database back in."""
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error as error:
        raise _explain(error, database) from error
    return str(journal_mode)


def leave_wal_mode(connection: sqlite3.Connection, database: Path) -> None:
    """
    Bring the rows of the -wal into the main file, and unlink -wal and -shm.

    :raises RestoreBlockedError: somebody else has the database open.
    :raises sqlite3.Error: SQLite can't; it is in WAL mode then, with all its rows.
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
    Put a database that was in WAL mode before a restore into it again, durably, if that can be
    done now. Without it the site is slower, and loses nothing.

    SQLite does not sync the unlink of its journal: come back after a power cut, it would undo
    what the site has written since, so the folder is synced before anybody writes.
    """
    with contextlib.suppress(sqlite3.Error, OSError, RestoreBlockedError):
        if has_content(paths.database) and is_readable(paths.database):
            with contextlib.closing(connect(paths.database, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            files.sync_folder(paths.folder)


def _fold_into_one_file(connection: sqlite3.Connection, paths: StorePaths) -> None:
    """Leave every committed row in the main file, exclusively locked."""
    leave_wal_mode(connection, paths.database)
    connection.execute("BEGIN EXCLUSIVE")
    wal, shm, journal = paths.sidecars
    files.unlink(shm)  # SQLite does not tell when it could not; without a -wal it is of no use
    files.unlink(journal)  # left by PERSIST or TRUNCATE; the lock proves that it is not hot
    if files.exists(wal) and not wal.stat().st_size:
        files.unlink(wal)  # left by a power cut beside a database that had not become a WAL one
    if files.exists(wal):
        raise RestoreBlockedError(f"{wal} is still there after a checkpoint.")


def _unsettle(connection: sqlite3.Connection, journal_mode: str) -> None:
    """Give the database back as it was: its lock, and its journal mode."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if journal_mode == "wal":
            connection.execute("PRAGMA journal_mode=WAL")


def _explain(error: sqlite3.Error, database: Path) -> RestoreBlockedError | RuinedError:
    if _code(error) in RUINED:
        return RuinedError(str(error))
    return RestoreBlockedError(
        f"SQLite could not settle {database} before it is replaced:"
        f" {describe_error(error, database)}.",
        hint=CLOSE_IT if _code(error) == sqlite3.SQLITE_BUSY else None,
    )
