"""
The second half of a restore: put the pending snapshot in the live database's place.

    pending ─▶ verified ─▶ migrated ─▶ live database settled ─▶ old database kept ─▶ renamed

Only a process that is alone and has no connection open calls this. Invariants, which hold
between any two steps, power cuts included:

1. The live name is never missing, and is the whole old database or the whole new one.
2. Every committed row of the old database is in it, or in the kept copy.
3. The rename is the commit: before it the pending file exists and the next start does it all
   again; after it the pending file is gone.
4. What is renamed has been synced, file and folder.

All that can fail because of the snapshot itself fails before the live database is touched.
The long form, with the table of crashes: docs/how-restore-works.md.
"""

import errno
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
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
from backups.sqlite.checking.check import Contents, check_snapshot, look_into
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import Temporary, temporary_file
from backups.sqlite.format.connection import connect, has_content
from backups.sqlite.format.header import is_wal
from backups.sqlite.format.schema import Program
from backups.sqlite.format.sqlite_errors import describe_error
from backups.sqlite.kept.keep import free_name, retired
from backups.sqlite.kept.kept_copies import kept_by
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.receipts import make_receipt
from backups.sqlite.restores.conclude import conclude
from backups.sqlite.restores.overwrite import overwrite_alone
from backups.sqlite.restores.pending import (
    announce,
    make_pending,
    missing_migrations,
    set_aside,
    verify_pending,
)
from backups.sqlite.restores.tries import begin_try, conclude_try
from backups.sqlite.site import Live, Site
from backups.store import Receipt

NOT_CHECKED = (CheckTimedOutError, CheckOutOfMemoryError, UnknownFunctionError)
CHECK_ADVICE = "If that is because of its size, raise BACKUPS_CHECK_SECONDS."
NO_RENAME = (errno.EBUSY, errno.EXDEV)  # the live name is itself a mount point


def apply_pending(
    paths: StorePaths,
    *,
    site: Site,
    check_seconds: float,
    keeping: Keeping,
    migrate_tries: int,
) -> Receipt:
    """
    Apply the pending restore, or set it aside, or leave it for the next start; never raises
    except for what is not an error of the restore (KeyboardInterrupt).

    1. Verify the file against its manifest.
    2. Bring a copy of it to this release, if it is older, and make that the pending file.
    3. Close what the site's code has opened. Note in the manifest which name the live database
       will be kept under, and its journal mode. Settle it, and keep it under that name.
    4. Rename the pending file to the live name, and sync the folder. Where the live name can't
       be renamed over, write the pages into it instead (overwriting.py).
    5. Write the receipt, put the database into WAL mode if it was before, and sweep what belonged
       to the pending file and the oldest kept copies.

    :returns: the receipt: applied, refused (set aside), or blocked (still pending).
    """
    started, moment = time.monotonic(), datetime.now(UTC)
    manifest, kept, outcome, reason = None, None, "applied", ""
    try:
        manifest = verify_pending(paths)
        manifest, doubt = _bring_to_this_release(
            paths, manifest, site, check_seconds, migrate_tries
        )
        site.disconnect()  # from here on no connection of this process has the old file
        name = free_name(paths, moment)
        manifest = announce(paths, manifest, name, is_wal=_is_in_wal_mode(paths))
        kept, reason = _put_in_place(paths, manifest, name)
        reason = " ".join(filter(None, (doubt, reason)))
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        outcome, reason = "refused", str(error)
        kept = set_aside(paths, moment)
    except (BackupError, OSError, sqlite3.Error) as error:
        outcome, reason = "blocked", _explain(error, paths)
    receipt = make_receipt(moment, outcome, reason, manifest, kept, time.monotonic() - started)
    was_wal = manifest is not None and manifest.was_wal
    return conclude(paths, receipt, keeping=keeping, was_wal=was_wal)


def _is_in_wal_mode(paths: StorePaths) -> bool:
    """Of a database that is lost or unreadable, the WAL that is left tells it."""
    return is_wal(paths.database) or has_content(paths.sidecars[0])


# Step 2


def _bring_to_this_release(
    paths: StorePaths, manifest: Manifest, site: Site, check_seconds: float, tries: int
) -> tuple[Manifest, str]:
    """
    As below. What was live once is put back as it was, if its migrations fail: then the second
    word says why.
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
    Run the migrations that are missing, on a copy, which then becomes the pending file.

    A kill in the middle starts afresh from the pending file as it was. Nothing to do, and no
    copy, if the snapshot is of this release.

    Each start that begins is counted before it does, and no longer if it fails of something else
    than time or memory: so a start that is always killed in the middle comes to an end as well.
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
    except (BackupError, OSError, sqlite3.Error):  # e.g. a full disk, which may have room again
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
    As an upload is checked. Damage is believed when it is found twice: the snapshot was whole
    when it was staged, and a disk that fails for a moment can look like damage.
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
    """What the live database does not have as it was must not be as it was any more."""
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


# Steps 3 and 4


def _put_in_place(paths: StorePaths, manifest: Manifest, name: Path) -> tuple[Path | None, str]:
    """Returns the kept copy, and what is wrong although the restore is in place."""
    earlier = kept_by(paths, manifest)  # of an interrupted try, if this one has nothing to keep
    try:
        kept = _replace_live(paths, name)
    except OSError as error:
        if error.errno not in NO_RENAME:
            raise
        return overwrite_alone(paths, manifest, name) or earlier, ""
    return kept or earlier, _make_durable(paths)


def _replace_live(paths: StorePaths, name: Path) -> Path | None:
    if files.exists(paths.database):
        _copy_attributes(paths)
    files.sync_file(paths.pending)
    with retired(paths, name) as kept:
        files.replace(paths.pending, paths.database)  # invariant 3: the commit
    return kept


def _copy_attributes(paths: StorePaths) -> None:
    try:
        files.copy_attributes(paths.database, paths.pending)
    except PermissionError as error:
        raise RestoreBlockedError(
            f"{paths.pending} can't be given the owner and the mode of {paths.database}, and"
            f" without them its users might be unable to open it: {error.strerror}."
            " The owner of the database, or root, can apply it."
        ) from error


def _make_durable(paths: StorePaths) -> str:
    """
    Sync the rename before anybody writes to the new database. Returns what is wrong, if so.

    There is no way back from here, so a failure is returned, not raised.
    """
    try:
        files.sync_folder(paths.folder)
    except OSError as error:
        return f"The restore is in place, but {paths.folder} could not be synced: {error.strerror}."
    return ""


def _explain(error: Exception, paths: StorePaths) -> str:
    """What happened to which file. SQLite does not tell which, so the folder."""
    if isinstance(error, OSError):
        return files.explain(error, paths.folder)
    if isinstance(error, sqlite3.Error):
        return f"SQLite failed in {paths.folder}: {describe_error(error, paths.database)}."
    return str(error).rstrip(".") + "."
