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

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backups import files
from backups.exceptions import (
    BackupError,
    InvalidSnapshotError,
    RestoreRefusedError,
)
from backups.sqlite.connection import connect
from backups.sqlite.kept import retired
from backups.sqlite.manifest import Manifest, sweep_manifests
from backups.sqlite.paths import SIDECARS, StorePaths
from backups.sqlite.receipts import append_receipt, last_receipt, make_receipt
from backups.sqlite.release import Release
from backups.sqlite.repair import kept_by
from backups.sqlite.staging import make_pending, unlink_pending_sidecars
from backups.sqlite.temporary import temporary_file
from backups.sqlite.validation import check_snapshot
from backups.store import Receipt


def apply_pending(paths: StorePaths, *, release: Release, check_seconds: float) -> Receipt:
    """
    Apply the pending restore, or set it aside, or leave it for the next start; never raises
    but for what is no error of the restore (KeyboardInterrupt).

    1. Verify the file against its manifest.
    2. Bring a copy of it to this release, if it is older, and make that the pending file.
    3. Settle the live database, and keep it under its pre-restore name.
    4. Rename the pending file to the live name, and sync the folder.
    5. Write the receipt, and sweep what belonged to the pending file.

    :returns: the receipt: applied, refused (set aside), or blocked (still pending).
    """
    started, moment = time.monotonic(), datetime.now(UTC)
    manifest, kept, outcome, reason = None, None, "applied", ""
    try:
        manifest = _verify(paths)
        manifest = _bring_to_this_release(paths, manifest, release, check_seconds)
        kept = _replace_live(paths, moment) or kept_by(paths, manifest)
        reason = _make_durable(paths)
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        outcome, reason = "refused", str(error)
        kept = _set_aside(paths, moment)
    except (BackupError, OSError, sqlite3.Error) as error:
        outcome, reason = "blocked", _explain(error, paths)
    receipt = make_receipt(moment, outcome, reason, manifest, kept, time.monotonic() - started)
    _conclude(paths, receipt)
    return receipt


# Step 1


def _verify(paths: StorePaths) -> Manifest:
    wal, _, journal = paths.pending_sidecars
    for beside in (wal, journal):
        if beside.exists() and beside.stat().st_size:
            raise RestoreRefusedError(f"The pending file was opened by a program: {beside} exists.")
    size, sha256 = paths.pending.stat().st_size, files.sha256(paths.pending)
    manifest = Manifest.read(paths.manifest(sha256))
    if manifest is None or (manifest.size, manifest.sha256) != (size, sha256):
        raise RestoreRefusedError(
            f"{paths.pending} is not the file that was staged: its SHA-256 is {sha256} now."
        )
    return manifest


# Step 2


def _bring_to_this_release(
    paths: StorePaths, manifest: Manifest, release: Release, check_seconds: float
) -> Manifest:
    """
    Run the migrations that are missing, on a copy, which then becomes the pending file.

    A kill in the middle starts afresh from the pending file as it was. Nothing to do, and no
    copy, if the snapshot is of this release.
    """
    release.check_known(manifest.migrations, manifest.historic)  # the code may be older by now
    missing = release.plan(manifest.migrations)
    if not missing:
        return manifest
    with temporary_file(paths, "migrating") as copy:
        _copy_pending(paths, copy.descriptor)
        release.migrate(copy.path)
        _fold(copy.path)
        contents = check_snapshot(
            copy.descriptor,
            copy.path,
            seconds=check_seconds,
            release=release,
            historic=manifest.historic,
        )
        files.sync(copy.descriptor)
        migrated = replace(
            manifest,
            size=os.fstat(copy.descriptor).st_size,
            sha256=files.sha256(copy.path),
            migrations=contents.migrations,
            migrated=manifest.migrated + missing,
        )
        make_pending(paths, copy.path, migrated)
    return migrated


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


def _replace_live(paths: StorePaths, moment: datetime) -> Path | None:
    if paths.database.exists():
        files.copy_attributes(paths.database, paths.pending)
    files.sync_file(paths.pending)
    with retired(paths, moment) as kept:
        files.replace(paths.pending, paths.database)  # invariant 3: the commit
    return kept


def _make_durable(paths: StorePaths) -> str:
    """
    Sync the rename before anybody writes to the new database. Returns what is wrong, if so.

    There is no way back from here, so a failure is told and not raised.
    """
    try:
        files.sync_folder(paths.folder)
    except OSError as error:
        return f"The restore is in place, but {paths.folder} could not be synced: {error.strerror}."
    return ""


# Step 5


def _set_aside(paths: StorePaths, moment: datetime) -> Path | None:
    """Take the pending name away, sidecars included, so that the next start does not try again."""
    attempt = 1
    while (refused := paths.refused(moment, attempt)).exists():
        attempt += 1
    try:
        files.replace(paths.pending, refused)
        for suffix, sidecar in zip(SIDECARS, paths.pending_sidecars, strict=True):
            if sidecar.exists():
                files.replace(sidecar, refused.with_name(refused.name + suffix))
        files.sync_folder(paths.folder)
    except OSError:
        return None
    return refused


def _conclude(paths: StorePaths, receipt: Receipt) -> None:
    """Record what came of it. A record that can't be written changes nothing of that."""
    try:
        if receipt.outcome != "blocked" or _is_news(paths, receipt):
            append_receipt(paths, receipt)
        if receipt.outcome != "blocked":
            unlink_pending_sidecars(paths)
            sweep_manifests(paths, but=None)
    except OSError:
        return


def _is_news(paths: StorePaths, receipt: Receipt) -> bool:
    """A restore that is blocked in the same way at each start needs one receipt, not many."""
    last = last_receipt(paths)
    return last is None or (last.outcome, last.reason) != (receipt.outcome, receipt.reason)


def _explain(error: Exception, paths: StorePaths) -> str:
    """What happened to which file; of a write the system does not tell which, so the folder."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or paths.folder}: {error.strerror}."
    return str(error).rstrip(".") + "."
