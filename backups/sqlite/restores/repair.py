"""
What a start finishes after a crash. Only a process that is alone calls ``repair``.

- A crash before the rename of an apply: the live database may have its pre-restore name too. That
  name is removed.
- A crash after it: the missing receipt is written from the manifest of the applied file. Nobody
  has written to that file yet, since each process comes here first.
- A restore without a restart leaves the pending file in place until its transaction is committed;
  the live database shows whether it was.
- Sidecars that a program left beside the pending file are removed when that file is gone.
"""

import os
import sqlite3
from contextlib import suppress

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.settle import enter_wal_mode
from backups.sqlite.records.manifest import Manifest, find_manifest, find_unrecorded
from backups.sqlite.records.receipts import is_recorded, record_staged
from backups.sqlite.restores.conclude import conclude_overwritten, is_overwritten, record_applied
from backups.sqlite.restores.pending import unlink_pending_sidecars
from backups.store import Receipt


def repair(paths: StorePaths) -> Receipt | None:
    """
    Finish what a crash interrupted. Returns the receipt that the crash prevented, if any.

    :raises OSError: a step failed; the next start tries again.
    :raises RestoreBlockedError: another program locks the live database, so it can't be read.
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
    if not files.exists(paths.pending) and (
        paths.manifests() or any(map(files.exists, paths.pending_sidecars))
    ):
        return True
    return files.exists(paths.database) and os.stat(paths.database).st_nlink > 1


def _repair_pending(paths: StorePaths) -> Receipt | None:
    manifest = find_manifest(paths)
    if manifest is None:
        return None
    if not is_recorded(paths, "staged", manifest):
        record_staged(paths, manifest)
    try:
        if is_overwritten(paths, manifest):
            return conclude_overwritten(paths, manifest)
    except sqlite3.Error as error:
        raise OSError(f"{paths.database} can't be read: {error}") from error
    manifest.unmark(paths)
    if manifest.was_wal:  # a try was killed after it had settled the database
        enter_wal_mode(paths)
    return None


def _record_replaced(paths: StorePaths) -> Receipt | None:
    manifest = _manifest_of_live(paths)
    if manifest is None:
        return None
    receipt = record_applied(paths, manifest)
    if manifest.was_wal:  # only now: until it is recorded, its bytes identify it
        enter_wal_mode(paths)
    return receipt


def _manifest_of_live(paths: StorePaths) -> Manifest | None:
    """The manifest of the file, or of the content, that is live now and was pending before."""
    if not (files.exists(paths.database) and paths.manifests()):
        return None
    manifests = [found for found in map(Manifest.load, paths.manifests()) if found is not None]
    with suppress(sqlite3.Error):  # then none of them was written into it
        if written := [found for found in manifests if is_overwritten(paths, found)]:
            return written[0]
    if unrecorded := find_unrecorded(paths):  # the site may have written since
        return unrecorded
    live = files.sha256(paths.database)
    manifest = Manifest.load(paths.manifest(live))
    return manifest if manifest is not None and manifest.sha256 == live else None


def _unlink_second_names(paths: StorePaths) -> None:
    if not files.exists(paths.database) or os.stat(paths.database).st_nlink == 1:
        return
    for kept in paths.pre_restores():
        if os.path.samefile(kept, paths.database):
            files.unlink(kept)
    files.sync_folder(paths.folder)
