"""
Bring a pending file that is older than this release up to it, before the live database is touched.

    pending ─▶ <db>.migrating-<random> ─▶ migrated, checked, synced ─▶ pending

The migrations run on a copy. A kill in the middle leaves the pending file as it was, and the next
start begins again with a new copy.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    BackupError,
    CheckOutOfMemoryError,
    CheckTimedOutError,
    DamagedSnapshotError,
    InvalidSnapshotError,
    MigrationStoppedError,
    RestoreBlockedError,
    RestoreRefusedError,
    UnknownFunctionError,
    UnknownSchemaError,
)
from backups.sqlite.checking.acceptance import Acceptance
from backups.sqlite.checking.check import check_snapshot, look_into
from backups.sqlite.checking.contents import Contents
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import Temporary, temporary_file
from backups.sqlite.format.connection import connect
from backups.sqlite.format.schema import Program
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores.pending import make_pending, missing_migrations
from backups.sqlite.restores.tries import begin_try, conclude_try
from backups.sqlite.site import Live, Site

NOT_CHECKED = (CheckTimedOutError, CheckOutOfMemoryError, UnknownFunctionError)
CHECK_ADVICE = "If that is because of its size, raise BACKUPS_CHECK_SECONDS."


def bring_to_this_release(
    paths: StorePaths, manifest: Manifest, site: Site, check_seconds: float, tries: int
) -> tuple[Manifest, str]:
    """
    Run the migrations that are missing. Returns the manifest of what is pending now, and a doubt:
    what was live once is put back as it was if its migrations fail, and the doubt says why.

    :param tries: how many starts may begin the migrations.
    :raises RestoreRefusedError: a migration failed. So do the subclasses of InvalidSnapshotError:
        what came of the migrations fails the check.
    :raises RestoreBlockedError: they did not come to their end; another start may try.
    """
    try:
        return _migrate(paths, manifest, site, check_seconds, tries), ""
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        if manifest.undoes is None:
            raise
        return manifest, f"It was put in place as it was, because it could not be migrated: {error}"


def _migrate(
    paths: StorePaths, manifest: Manifest, site: Site, check_seconds: float, tries: int
) -> Manifest:
    """
    Does nothing, and makes no copy, if the snapshot is of this release.

    Each start is counted before it begins them, so that a snapshot whose migrations are killed
    each time is given up too. The count is taken back if something else than time or memory
    stopped them.
    """
    missing = missing_migrations(manifest, site)
    if not missing:
        return manifest
    begun = begin_try(paths, manifest, missing, tries)
    try:
        return _migrate_copy(paths, begun, missing, site, check_seconds)
    except MigrationStoppedError as error:
        raise conclude_try(error, begun, tries) from error
    except (RestoreRefusedError, InvalidSnapshotError):
        raise
    except (BackupError, OSError, sqlite3.Error):  # e.g. a full disk, which may get room again
        with suppress(OSError):
            manifest.write(paths)
        raise


def _migrate_copy(
    paths: StorePaths,
    manifest: Manifest,
    missing: tuple[str, ...],
    site: Site,
    check_seconds: float,
) -> Manifest:
    with temporary_file(paths, "migrating") as copy:
        _copy_pending(paths, copy.descriptor)
        site.migrate(copy.path)
        _fold(copy.path)
        contents = _check_migrated(copy, manifest, site, check_seconds)
        _check_changed(contents, manifest)
        files.sync(copy.descriptor)
        migrated = replace(
            manifest,
            size=os.fstat(copy.descriptor).st_size,
            sha256=contents.sha256,
            migrations=contents.migrations,
            migrated=manifest.migrated + missing,
            changing=(),
            tries=0,
        )
        make_pending(paths, copy.path, migrated)
    return migrated


def _check_migrated(copy: Temporary, manifest: Manifest, site: Site, seconds: float) -> Contents:
    """
    Check it as an upload is checked. Damage is believed when it is found twice: the snapshot was
    whole when it was staged, and a disk that fails for a moment can look like damage.
    """

    def check() -> Contents:
        return check_snapshot(
            copy.descriptor,
            copy.path,
            seconds=seconds,
            site=site,
            live=Live(frozenset(manifest.historic)),
            judged=manifest.migrations,
            acceptance=Acceptance(manifest.accepted, was_live=manifest.undoes is not None),
        )

    try:
        try:
            return check()
        except DamagedSnapshotError:
            return check()
    except InvalidSnapshotError as error:
        if manifest.undoes is not None:
            return look_into(copy.descriptor, copy.path, seconds=seconds, site=site)
        if not isinstance(error, NOT_CHECKED):
            raise
        # it is as good as it was when it was staged
        if isinstance(error, UnknownFunctionError):
            raise RestoreBlockedError(str(error)) from error
        raise MigrationStoppedError(f"After the migrations: {error} {CHECK_ADVICE}") from error


def _check_changed(contents: Contents, manifest: Manifest) -> None:
    """
    Refuse a program that the live database has in another form or not at all, if the migrations
    were to change it and have not.
    """
    for kind, name, sql in manifest.changing:
        if Program(kind, name, sql) in contents.programs:
            raise UnknownSchemaError(
                f"The snapshot has the {kind} {name}, which this site's database has in"
                " another form or not at all, and no migration has changed it."
            )


def _copy_pending(paths: StorePaths, destination: int) -> None:
    pending = os.open(paths.pending, os.O_RDONLY | os.O_CLOEXEC)
    try:
        files.copy(pending, destination)
    finally:
        os.close(pending)


def _fold(database: Path) -> None:
    """Leave one file without sidecars, whatever journal mode the migrations ran in."""
    with closing(connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
