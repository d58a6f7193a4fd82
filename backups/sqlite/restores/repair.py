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
from contextlib import suppress

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.settle import enter_wal_mode
from backups.sqlite.records.manifest import (
    Manifest,
    find_manifest,
    find_unrecorded,
)
from backups.sqlite.records.receipts import is_recorded, record_staged
from backups.sqlite.restores.conclude import conclude_overwritten, is_overwritten, record_applied
from backups.sqlite.restores.pending import unlink_pending_sidecars
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
    receipt = record_applied(paths, manifest)
    if manifest.was_wal:  # only now: it is known by its bytes until it is recorded
        enter_wal_mode(paths)
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
