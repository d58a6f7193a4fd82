"""
The end of a restore: its receipt, and then the sweep of what belonged to the pending file.

In this order: if the receipt is missing, a start writes it from what is swept here (repair.py).
"""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import connect
from backups.sqlite.format.readable import has_database
from backups.sqlite.kept.kept_copies import kept_by
from backups.sqlite.kept.pruning import Keeping, remove
from backups.sqlite.kept.settle import enter_wal_mode
from backups.sqlite.records.manifest import Manifest, sweep_manifests
from backups.sqlite.records.receipts import (
    append_receipt,
    is_recorded,
    last_conclusion,
    load_receipts,
    make_receipt,
)
from backups.sqlite.restores.pending import unlink_pending_sidecars
from backups.store import Receipt


def conclude(
    paths: StorePaths, receipt: Receipt, *, keeping: Keeping, was_wal: bool = False
) -> Receipt:
    """
    Record the outcome, and sweep what belonged to the pending file unless it stays pending.

    If the receipt can't be written, the outcome is the same, and no kept copy is removed: a receipt
    must name it first.

    :param was_wal: whether what was replaced was in WAL mode, so that this is to be too.
    :returns: the receipt as it was recorded, with the kept copies to remove.
    """
    going = _choose(paths, receipt, keeping) if receipt.outcome == "applied" else []
    complete = replace(receipt, removed=tuple(kept.name for kept in going))
    has_receipt = _record(paths, complete)
    _sweep(paths, receipt, going, has_receipt=has_receipt, was_wal=was_wal)
    return complete if has_receipt else receipt


def _choose(paths: StorePaths, receipt: Receipt, keeping: Keeping) -> list[Path]:
    """The kept copies to remove; none if the receipts can't be read: the next restore chooses."""
    with contextlib.suppress(OSError):
        receipts = [*load_receipts(paths), receipt]
        return keeping.choose(paths, receipts, but=receipt.kept, now=receipt.at)
    return []


def _record(paths: StorePaths, receipt: Receipt) -> bool:
    if receipt.outcome == "blocked" and not _is_news(paths, receipt):
        return True
    try:
        append_receipt(paths, receipt)
    except OSError:
        return False
    return True


def _is_news(paths: StorePaths, receipt: Receipt) -> bool:
    """A try that somebody asked for is; the same block at each start gets one receipt, not many."""
    last, what = last_conclusion(paths), attrgetter("outcome", "reason", "staged_at")
    return receipt.by is not None or last is None or what(last) != what(receipt)


def _sweep(
    paths: StorePaths, receipt: Receipt, going: list[Path], *, has_receipt: bool, was_wal: bool
) -> None:
    if receipt.outcome == "blocked":
        return
    with contextlib.suppress(OSError):  # the next start sweeps the rest
        # The content was overwritten, and committed: invariant 3 of overwrite.py
        if receipt.outcome == "applied" and files.unlink(paths.pending):
            files.sync_folder(paths.folder)
        unlink_pending_sidecars(paths)
        if not has_receipt:
            return  # the next start writes it, from the manifest and this file as it is now
        if receipt.outcome == "applied" and was_wal:
            enter_wal_mode(paths)
        sweep_manifests(paths, but=None)
        remove(paths, going)


def is_overwritten(paths: StorePaths, manifest: Manifest) -> bool:
    """Whether the transaction that overwrites the live database with this was committed."""
    if manifest.overwrites is None:
        return False
    if not has_database(paths.database):
        return False
    with contextlib.closing(connect(paths.database)) as connection:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return bool(version == manifest.overwrites)


def conclude_overwritten(
    paths: StorePaths, manifest: Manifest, *, by: str | None = None
) -> Receipt | None:
    """Finish a restore whose content is live already. Returns what ``record_applied`` does."""
    receipt = record_applied(paths, manifest, by=by)
    if manifest.was_wal:
        enter_wal_mode(paths)
    files.unlink(paths.pending)  # invariant 3 of overwrite.py: only now
    files.sync_folder(paths.folder)
    sweep_manifests(paths, but=None)
    return receipt


def record_applied(
    paths: StorePaths, manifest: Manifest, *, by: str | None = None
) -> Receipt | None:
    """
    Write the receipt that a crash prevented; None if it exists.

    :param by: who asked for the restore, if that is known.
    """
    kept = kept_by(paths, manifest)
    if is_recorded(paths, "applied", manifest, kept):
        return None
    receipt = make_receipt(datetime.now(UTC), "applied", "", manifest, kept, by=by)
    append_receipt(paths, receipt)
    return receipt
