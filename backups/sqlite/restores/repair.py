"""
What a start finishes when a crash interrupted something. Only a process that is alone calls
``repair``.

- Before the rename of an apply, the live database may have its pre-restore name too: that name
  goes.
- After it, the manifest of the applied file is still there: it becomes the receipt that is
  missing. Nobody has written to that file yet, since each process comes here first.
- A restore without a restart leaves the pending file where it is until its transaction has been
  committed; the live database tells whether it was.
- What a program that had opened the pending file left beside it goes when that file is gone.
"""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import connect, has_content
from backups.sqlite.format.readable import enter_wal_mode, is_readable
from backups.sqlite.records.manifest import (
    Manifest,
    find_manifest,
    find_unrecorded,
    sweep_manifests,
)
from backups.sqlite.records.receipts import append_receipt, is_recorded, make_receipt
from backups.sqlite.restores.stage import record_staged, unlink_pending_sidecars
from backups.store import Receipt


def repair(paths: StorePaths) -> Receipt | None:
    """
    Finish what a crash interrupted, and return the receipt that it kept from being written.

    :raises OSError: a step failed; the next start tries again.
    :raises RestoreBlockedError: another program keeps the live database from being read.
    """
    _unlink_second_names(paths)
    if files.exists(paths.pending):
        return _repair_pending(paths)
    unlink_pending_sidecars(paths)
    receipt = _record_replaced(paths)
    for path in paths.manifests():
        files.unlink(path)
    return receipt


def needs_repair(paths: StorePaths) -> bool:
    """Whether a crash may have interrupted an apply or a staging. Reads only."""
    if not files.exists(paths.pending) and (paths.manifests() or _stray_sidecars(paths)):
        return True
    return files.exists(paths.database) and os.stat(paths.database).st_nlink > 1


def kept_by(paths: StorePaths, manifest: Manifest) -> Path | None:
    """What the last try that a crash interrupted has kept, by the name that it announced."""
    kept = None if manifest.keeps is None else paths.folder / manifest.keeps
    return kept if kept is not None and files.exists(kept) else None


def conclude_overwritten(
    paths: StorePaths, manifest: Manifest, *, by: str | None = None
) -> Receipt | None:
    """
    Finish a restore whose content is in the live database: take the pending file away.

    :param by: who asked for it, if that is known.
    :returns: the receipt; None if the crash came after it was written.
    """
    receipt = _record_applied(paths, manifest, by=by)
    if manifest.was_wal:
        enter_wal_mode(paths)
    files.unlink(paths.pending)
    files.sync_folder(paths.folder)
    sweep_manifests(paths, but=None)
    return receipt


def is_overwritten(paths: StorePaths, manifest: Manifest) -> bool:
    """Whether the transaction that overwrites the live database with this came through."""
    if manifest.overwrites is None or not has_content(paths.database):
        return False
    if not is_readable(paths.database):
        return False
    with closing(connect(paths.database)) as connection:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return bool(version == manifest.overwrites)


def _repair_pending(paths: StorePaths) -> Receipt | None:
    manifest = find_manifest(paths)
    if manifest is None:
        return None
    with suppress(OSError):  # a record that can't be kept stops no restore
        if not is_recorded(paths, "staged", manifest):
            record_staged(paths, manifest)
    try:
        if is_overwritten(paths, manifest):
            return conclude_overwritten(paths, manifest)
    except sqlite3.Error as error:
        raise OSError(f"{paths.database} can't be read: {error}") from error
    manifest.unmark(paths)
    if manifest.was_wal:  # a try was killed when it had settled the database
        enter_wal_mode(paths)
    return None


def _record_replaced(paths: StorePaths) -> Receipt | None:
    manifest = _manifest_of_live(paths)
    if manifest is None:
        return None
    receipt = _record_applied(paths, manifest)
    if manifest.was_wal:  # only now: it is known by its bytes until it is recorded
        enter_wal_mode(paths)
    return receipt


def _record_applied(
    paths: StorePaths, manifest: Manifest, *, by: str | None = None
) -> Receipt | None:
    """Write the receipt that a crash kept from being written; None if it is there."""
    kept = kept_by(paths, manifest)
    if is_recorded(paths, "applied", manifest, kept):
        return None
    receipt = make_receipt(datetime.now(UTC), "applied", "", manifest, kept, by=by)
    append_receipt(paths, receipt)
    return receipt


def _manifest_of_live(paths: StorePaths) -> Manifest | None:
    """The manifest of the file, or of the content, that is live now and was pending before."""
    if not files.exists(paths.database):
        return None
    if not paths.manifests():
        return None
    manifests = [found for found in map(Manifest.load, paths.manifests()) if found is not None]
    with suppress(sqlite3.Error):  # then it is not what any of them says
        if written := [found for found in manifests if is_overwritten(paths, found)]:
            return written[0]
    if unrecorded := find_unrecorded(paths):  # the site may have written since
        return unrecorded
    live = files.sha256(paths.database)
    manifest = Manifest.load(paths.manifest(live))
    return manifest if manifest is not None and manifest.sha256 == live else None


def _stray_sidecars(paths: StorePaths) -> bool:
    """Whether the pending file is gone and what was beside it is not."""
    return any(files.exists(sidecar) for sidecar in paths.pending_sidecars)


def _unlink_second_names(paths: StorePaths) -> None:
    if not files.exists(paths.database) or os.stat(paths.database).st_nlink == 1:
        return
    for kept in paths.pre_restores():
        if os.path.samefile(kept, paths.database):
            files.unlink(kept)
    files.sync_folder(paths.folder)
