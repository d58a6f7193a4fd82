"""The databases that are SQLite in a file, set up as Django and the settings say."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from backups.conf import conf
from backups.disk.file_system import is_local, kind_of
from backups.exceptions import (
    BackupError,
    BackupNotSupportedError,
    SnapshotFailedError,
    WrongUserError,
)
from backups.site.django_site import DjangoSite
from backups.site.engine import SQLITE, vendor_of
from backups.sqlite.folder.ownership import check_user
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import database_file, has_content
from backups.sqlite.format.header import has_wal_mark
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.restores.stage import WAL_MARK
from backups.sqlite.snapshots.create import SnapshotLimits
from backups.sqlite.store import SqliteBackupStore
from backups.store import BackupStore

PATIENCE_SECONDS = 0.777  # to wait for a lock; a number that no site is likely to set
# What a database that can't be opened, or wrong settings, can raise.
UNASKABLE = (BackupError, DatabaseError, sqlite3.Error, ImproperlyConfigured, TypeError, OSError)

# A server may hold back this much of an answer, and takes nothing more from us until the client has
# it. So a snapshot must wait as long as a client that is just fast enough needs for it.
HELD_BACK_BYTES = 8 * 1024**2


def sqlite_store(alias: str) -> BackupStore:
    """
    The store behind an alias whose database is SQLite. Opens nothing.

    :raises BackupNotSupportedError: it has no file behind it.
    """
    return SqliteBackupStore(
        database_path(alias),
        connect=lambda: _connect(alias),
        site=DjangoSite(alias),
        check_seconds=conf.check_seconds,
        live_seconds=conf.live_seconds,
        keeping=Keeping(copies=conf.kept_copies, days=conf.kept_days),
        migrate_tries=conf.migrate_tries,
        snapshot_limits=SnapshotLimits(
            compact_up_to=conf.compact_up_to,
            at_once=conf.snapshots_at_once,
            spool_seconds=conf.spool_seconds,
            stall_seconds=conf.stall_seconds + HELD_BACK_BYTES / conf.min_bytes_per_second,
            resume_seconds=conf.resume_seconds,
        ),
        uploads_at_once=conf.uploads_at_once,
        keep_free=conf.keep_free_bytes,
    )


def database_path(alias: str | None = None) -> Path:
    """
    The database as the settings name it. Opens nothing.

    :raises BackupNotSupportedError: there is no such alias, it is not SQLite, or has no file.
    """
    name = alias or conf.database
    if vendor_of(name) != SQLITE:
        raise BackupNotSupportedError(
            f"The database {name!r} is {connections[name].display_name}, not SQLite in a file."
        )
    module = _module(connections[name])
    if module.Connection is not sqlite3.Connection:
        raise BackupNotSupportedError(
            f"The database {name!r} is opened with {module.__name__}, and this app"
            f" opens it with {sqlite3.__name__}: two SQLite libraries in one process drop each"
            " other's locks.",
            hint="Let sys.modules['sqlite3'] be one of them before anything imports sqlite3.",
        )
    return database_file(connections[name].settings_dict["NAME"])


def paths(alias: str | None = None) -> StorePaths | None:
    """The names around a database; None if it has no file. Opens nothing."""
    with suppress(BackupNotSupportedError):
        return StorePaths.of(database_path(alias))
    return None


def foresee_warnings(head: bytes) -> tuple[str, ...]:
    """The warnings of staging that a snapshot's first bytes foretell, whatever is live here."""
    return (WAL_MARK,) if has_wal_mark(head) else ()


def journal_mode(alias: str) -> str:
    """
    The journal mode of the database, asked on the site's own connection: opening the file here
    would drop the locks of this process. Empty if it is not known, or if WAL mode does not suit
    the file system.
    """
    with suppress(BackupNotSupportedError, DatabaseError, WrongUserError):
        if _can_connect(alias):
            with connections[alias].cursor() as cursor:
                return str(cursor.execute("PRAGMA journal_mode").fetchone()[0])
    return ""


def ask(alias: str, pragmas: Iterable[str]) -> dict[str, str]:
    """
    The values of these pragmas on a connection that is set up like the site's own. It is a separate
    one and closed at once, since this process may fork. Empty if the database can't be asked, e.g.
    because it is missing. Waits less than a second for a lock, so ``busy_timeout`` is left out
    unless something other than the option ``timeout`` has set it.
    """
    answers = {}
    with suppress(*UNASKABLE):
        if _can_connect(alias):
            with closing(_connect(alias, seconds=PATIENCE_SECONDS)) as connection:
                for pragma in pragmas:
                    row = connection.execute(f"PRAGMA {pragma}").fetchone()
                    answers[pragma] = "" if row is None else str(row[0]).lower()
    if answers.get("busy_timeout") == str(int(PATIENCE_SECONDS * 1000)):
        del answers["busy_timeout"]  # this is our own
    return answers


def sqlite_version(alias: str) -> tuple[int, ...]:
    """The version of the SQLite library that Django opens this database with."""
    version: tuple[int, ...] = _module(connections[alias]).sqlite_version_info
    return version


def _module(wrapper: Any) -> Any:
    """The module that Django opens a database with: ``sqlite3.dbapi2`` or its replacement."""
    return wrapper.Database


def _can_connect(alias: str) -> bool:
    """
    Whether connecting is safe: not if the database is missing, since that would create it, nor on a
    file system whose locks may not work.

    :raises WrongUserError: this user would leave files that the site can't use.
    """
    around = StorePaths.of(database_path(alias))
    check_user(around)
    is_fit = is_local(around.folder) or kind_of(around.folder) is None
    return is_fit and has_content(around.database)


def _connect(alias: str, *, seconds: float | None = None) -> sqlite3.Connection:
    """
    A separate connection, set up like the site's: with Django's functions and the site's pragmas.

    :param seconds: how long it waits for locks; None for as long as the site waits.
    """
    path = database_path(alias)
    if not has_content(path):  # connecting would create it
        raise SnapshotFailedError(f"There is no database at {path}, or it is empty.")
    wrapper = connections.create_connection(alias)
    if seconds is not None:
        options = wrapper.settings_dict["OPTIONS"] | {"timeout": seconds}
        wrapper.settings_dict = wrapper.settings_dict | {"OPTIONS": options}
    try:
        wrapper.connect()
    except Exception as error:
        _close_unfinished(error)
        raise
    connection = wrapper.connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def _close_unfinished(error: Exception) -> None:
    """Django leaves a connection open if it fails to set it up; only its frame knows it."""
    for frame, _ in walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            if isinstance(value, sqlite3.Connection):
                value.close()
