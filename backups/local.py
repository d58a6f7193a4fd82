"""This machine's store: what it must know of Django and of the settings."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from django.db import connections

from backups.conf import conf
from backups.exceptions import BackupNotSupportedError, SnapshotFailedError
from backups.releases import InstalledRelease
from backups.sqlite.connection import database_file, has_content
from backups.sqlite.paths import StorePaths
from backups.sqlite.snapshot import SnapshotLimits
from backups.sqlite.store import SqliteBackupStore
from backups.store import BackupStore


def get_store() -> BackupStore:
    """
    The store behind the BACKUPS_DATABASE alias. Opens nothing.

    :raises BackupNotSupportedError: it is not SQLite, or has no file.
    """
    return SqliteBackupStore(
        database(),
        connect=_connect,
        release=InstalledRelease(conf.database),
        check_seconds=conf.check_seconds,
        live_seconds=conf.live_seconds,
        kept_copies=conf.kept_copies,
        snapshot_limits=SnapshotLimits(
            compact_up_to=conf.compact_up_to,
            at_once=conf.snapshots_at_once,
            spool_seconds=conf.spool_seconds,
            stall_seconds=conf.stall_seconds,
            resume_seconds=conf.resume_seconds,
        ),
    )


def database() -> Path:
    """
    The database as the settings name it. Opens nothing.

    :raises BackupNotSupportedError: it is not SQLite, or has no file.
    """
    connection = connections[conf.database]
    if connection.vendor != "sqlite":
        raise BackupNotSupportedError(
            f"The database {conf.database!r} is {connection.display_name}, not SQLite in a file."
        )
    return database_file(connection.settings_dict["NAME"])


def paths() -> StorePaths | None:
    """The names around the database; None if it has no file. Opens nothing."""
    with suppress(BackupNotSupportedError):
        return StorePaths.of(database())
    return None


def own_names() -> tuple[Path, ...]:
    """The database as the settings name it, which may be a symbolic link, and the real file."""
    with suppress(BackupNotSupportedError):
        return database(), StorePaths.of(database()).database
    return ()


def _connect() -> sqlite3.Connection:
    """A connection of its own, set up as the site's are: with Django's functions, its pragmas."""
    path = database()
    if not has_content(path):  # to connect would create it
        raise SnapshotFailedError(f"There is no database at {path}, or it is empty.")
    wrapper = connections.create_connection(conf.database)
    wrapper.connect()
    connection = wrapper.connection
    assert isinstance(connection, sqlite3.Connection)
    return connection
