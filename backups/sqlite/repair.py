"""
What a start finishes when a crash interrupted the one before. Only a process that is alone
calls ``repair``.

Before the rename of an apply, the live database may have its pre-restore name too: that name
goes. After it, the manifest of the applied file is still there: it becomes the receipt that is
missing. What a program that had opened the pending file left beside it goes with that file.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from backups import files
from backups.sqlite.manifest import Manifest
from backups.sqlite.paths import StorePaths
from backups.sqlite.receipts import append_receipt, last_receipt, make_receipt
from backups.sqlite.staging import unlink_pending_sidecars
from backups.store import Receipt


def repair(paths: StorePaths) -> Receipt | None:
    """
    Finish what a crash interrupted, and return the receipt that it kept from being written.

    :raises OSError: a step failed; the next start tries again.
    """
    _unlink_second_names(paths)
    if paths.pending.exists():
        return None
    unlink_pending_sidecars(paths)
    if not (manifests := paths.manifests()):
        return None
    live = files.sha256(paths.database) if paths.database.exists() else ""
    manifest = Manifest.read(paths.manifest(live))
    receipt = None
    if manifest is not None and manifest.sha256 == live and not _is_recorded(paths, manifest):
        receipt = make_receipt(
            datetime.now(UTC), "applied", "", manifest, kept_by(paths, manifest), 0.0
        )
        append_receipt(paths, receipt)
    for path in manifests:
        files.unlink(path)
    return receipt


def needs_repair(paths: StorePaths) -> bool:
    """Whether a crash may have interrupted an apply or a staging. Reads only."""
    if not paths.pending.exists() and (paths.manifests() or _stray_sidecars(paths)):
        return True
    return paths.database.exists() and os.stat(paths.database).st_nlink > 1


def kept_by(paths: StorePaths, manifest: Manifest) -> Path | None:
    """
    What a try that a crash interrupted has kept: the newest copy, if it was made after the
    restore was staged. Names sort by time.
    """
    earliest = paths.pre_restore(manifest.staged_at)
    return max((kept for kept in paths.pre_restores() if kept >= earliest), default=None)


def _is_recorded(paths: StorePaths, manifest: Manifest) -> bool:
    """Whether the crash came after the receipt."""
    last = last_receipt(paths)
    return last is not None and (last.outcome, last.staged_at) == ("applied", manifest.staged_at)


def _stray_sidecars(paths: StorePaths) -> bool:
    """Whether the pending file is gone and what was beside it is not."""
    return any(sidecar.exists() for sidecar in paths.pending_sidecars)


def _unlink_second_names(paths: StorePaths) -> None:
    if not paths.database.exists() or os.stat(paths.database).st_nlink == 1:
        return
    for kept in paths.pre_restores():
        if os.path.samefile(kept, paths.database):
            files.unlink(kept)
    files.sync_folder(paths.folder)
