"""
Migrate a pending file that is older than this release, before the live database is touched.

    pending ─▶ <db>.migrating-<random> ─▶ migrated, checked, synced ─▶ pending

The migrations run on a copy. A kill in the middle leaves the pending file as it was, and the next
start begins again with a new copy.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

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

CHECK_ADVICE = "If that is because of its size, raise BACKUPS_CHECK_SECONDS."


def bring_to_this_release(
    paths: StorePaths, manifest: Manifest, site: Site, check_seconds: float, tries: int
) -> tuple[Manifest, str]:
    """
    Run the missing migrations. Returns the manifest of what is pending now, and a doubt: a kept
    copy whose migrations fail is put back as it was, and the doubt says why they failed.

    :param tries: how many starts may begin the migrations.
    :raises RestoreRefusedError: a migration failed.
    :raises InvalidSnapshotError: the migrated database fails the check.
    :raises RestoreBlockedError: they did not finish; another start may try.
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
    Counts each start before it begins the migrations, so that a snapshot whose migrations are
    killed each time is given up too. Takes the count back if something other than a lack of time
    or memory stopped them.
    """
    missing = missing_migrations(manifest, site)
    if not missing:
        return manifest  # without making a copy
    begun = begin_try(paths, manifest, missing, tries)
    try:
        return _migrate_copy(paths, begun, missing, site, check_seconds)
    except MigrationStoppedError as error:
        raise conclude_try(error, begun, tries) from error
    except (RestoreRefusedError, InvalidSnapshotError):
        raise
    except (BackupError, OSError, sqlite3.Error):  # e.g. a full disk
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
        with paths.pending.open("rb") as pending:
            files.copy(pending.fileno(), copy.descriptor)
        migrated = migrate_private(copy, manifest, missing, site, check_seconds)
        files.sync(copy.descriptor)
        make_pending(paths, copy.path, migrated)
    return migrated


def migrate_private(
    copy: Temporary,
    manifest: Manifest,
    missing: tuple[str, ...],
    site: Site,
    check_seconds: float,
) -> Manifest:
    """
    Run the missing migrations on a private copy of a checked snapshot, and check it again. Returns
    its manifest as it is then. Errors are those of ``bring_to_this_release``.
    """
    site.migrate(copy.path)
    with closing(connect(copy.path)) as connection:  # the migrations may have left a -wal
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    contents = _check_migrated(copy, manifest, site, check_seconds)
    _check_changed(contents, manifest)
    return replace(
        manifest,
        size=os.fstat(copy.descriptor).st_size,
        sha256=contents.sha256,
        migrations=contents.migrations,
        migrated=manifest.migrated + missing,
        changing=(),
        tries=0,
    )


def _check_migrated(copy: Temporary, manifest: Manifest, site: Site, seconds: float) -> Contents:
    """
    Check it like an upload. Damage must be found twice: the snapshot was whole when it was staged,
    and a disk that fails for a moment can look like damage.
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
        # A check that did not finish says nothing against it, and it passed when it was staged.
        if isinstance(error, UnknownFunctionError):
            raise RestoreBlockedError(str(error)) from error
        if isinstance(error, CheckTimedOutError | CheckOutOfMemoryError):
            raise MigrationStoppedError(f"After the migrations: {error} {CHECK_ADVICE}") from error
        raise


def _check_changed(contents: Contents, manifest: Manifest) -> None:
    """Refuse programs that the migrations were to change or remove, and have not."""
    programs = frozenset(contents.programs)
    for kind, name, sql in manifest.changing:
        if Program(kind, name, sql) in programs:
            raise UnknownSchemaError(
                f"The snapshot has the {kind} {name}, which this site's database has in"
                " another form or not at all, and no migration has changed it."
            )
