"""The pending file when it is to be applied: verify it, set it aside, record the outcome."""

import contextlib
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from backups.disk import files
from backups.exceptions import InvalidSnapshotError, RestoreRefusedError
from backups.sqlite.folder.paths import SIDECARS, StorePaths
from backups.sqlite.format.readable import enter_wal_mode
from backups.sqlite.kept.keep import has_something
from backups.sqlite.kept.pruning import Keeping, remove
from backups.sqlite.records.manifest import Manifest, sweep_manifests
from backups.sqlite.records.receipts import append_receipt, last_conclusion, load_receipts
from backups.sqlite.restores.stage import unlink_pending_sidecars
from backups.sqlite.site import Site
from backups.store import Receipt


def verify_pending(paths: StorePaths) -> Manifest:
    """
    Compare the pending file with what was staged. Reads only.

    :raises RestoreRefusedError: it is not that file any more.
    :raises OSError: that is not known now.
    """
    wal, _, journal = paths.pending_sidecars
    for beside in (wal, journal):
        if files.exists(beside) and beside.stat().st_size:
            raise RestoreRefusedError(f"The pending file was opened by a program: {beside} exists.")
    size, sha256 = paths.pending.stat().st_size, files.sha256(paths.pending)
    manifest = Manifest.load(paths.manifest(sha256))
    if manifest is None or (manifest.size, manifest.sha256) != (size, sha256):
        raise RestoreRefusedError(
            f"{paths.pending} is not the file that was staged: its SHA-256 is {sha256} now."
        )
    return manifest


def missing_migrations(manifest: Manifest, site: Site) -> tuple[str, ...]:
    """
    What is still to run on the pending file, in order.

    What was live once is put back even if that is not known: then it is not migrated.

    :raises NewerSnapshotError: the code may be older than it was when this was staged.
    """
    if manifest.undoes is None:
        site.check_known(manifest.migrations, manifest.historic)
        return site.plan(manifest.migrations)
    with contextlib.suppress(InvalidSnapshotError):
        return site.plan(manifest.migrations) if manifest.migrations else ()
    return ()


def announce(paths: StorePaths, manifest: Manifest, name: Path, *, is_wal: bool) -> Manifest:
    """
    Note in the manifest, durably, what only this try knows, for a start that finds it interrupted.
    What an interrupted one has noted stays, where nothing is left to tell it from.

    :param name: what the live database will be kept as, if there is one.
    :param is_wal: whether it is in WAL mode.
    """
    announced = replace(
        manifest,
        keeps=name.name if has_something(paths) else manifest.keeps,
        was_wal=manifest.was_wal or is_wal,
        inode=os.stat(paths.pending).st_ino,
    )
    if announced != manifest:
        announced.write(paths)
    return announced


def set_aside(paths: StorePaths, moment: datetime) -> Path | None:
    """
    Take the pending name away, sidecars included, so that the next start does not try again.

    :returns: its new name; None if the system refuses, and then it is still pending.
    """
    attempt = 1
    try:
        while (refused := paths.refused(moment, attempt)).exists():
            attempt += 1
        files.replace(paths.pending, refused)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # it is aside: what is left of its sidecars is swept
        for suffix, sidecar in zip(SIDECARS, paths.pending_sidecars, strict=True):
            if files.exists(sidecar):
                files.replace(sidecar, refused.with_name(refused.name + suffix))
        files.sync_folder(paths.folder)
    return refused


def conclude(
    paths: StorePaths, receipt: Receipt, *, keeping: Keeping, was_wal: bool = False
) -> Receipt:
    """
    Record the outcome, and sweep what belonged to the pending file unless it stays pending.

    If the record can't be written, the outcome is the same, and no kept copy goes: none does
    before a receipt names it.

    :param keeping: which kept copies stay after an apply.
    :param was_wal: whether what was applied is to be in WAL mode, as what it replaced.
    :returns: the receipt as it was recorded, with the kept copies that go.
    """
    going = _choose(paths, receipt, keeping) if receipt.outcome == "applied" else []
    recorded = replace(receipt, removed=tuple(kept.name for kept in going))
    is_recorded = _record(paths, recorded)
    _sweep(paths, receipt, going, is_recorded=is_recorded, was_wal=was_wal)
    return recorded if is_recorded else receipt


def _choose(paths: StorePaths, receipt: Receipt, keeping: Keeping) -> list[Path]:
    """None if that is not known now: the next restore chooses again."""
    with contextlib.suppress(OSError):
        receipts = [*load_receipts(paths), receipt]
        return keeping.choose(paths, receipts, but=receipt.kept, now=receipt.at)
    return []


def _sweep(
    paths: StorePaths, receipt: Receipt, going: list[Path], *, is_recorded: bool, was_wal: bool
) -> None:
    if receipt.outcome == "blocked":
        return
    with contextlib.suppress(OSError):  # the next start sweeps what stays
        if receipt.outcome == "applied" and files.unlink(paths.pending):  # it was overwritten
            files.sync_folder(paths.folder)
        unlink_pending_sidecars(paths)
        if not is_recorded:
            return  # the manifest tells the next start what to record: of this file, as it is now
        if receipt.outcome == "applied" and was_wal:
            enter_wal_mode(paths)
        sweep_manifests(paths, but=None)
        remove(paths, going)


def _record(paths: StorePaths, receipt: Receipt) -> bool:
    if receipt.outcome == "blocked" and not _is_news(paths, receipt):
        return True
    try:
        append_receipt(paths, receipt)
    except OSError:
        return False
    return True


def _is_news(paths: StorePaths, receipt: Receipt) -> bool:
    """
    A restore that is blocked in the same way at each start needs one receipt, not many. What
    somebody asked for is reported each time.
    """
    last = last_conclusion(paths)
    same = last is not None and (last.outcome, last.reason, last.staged_at) == (
        receipt.outcome,
        receipt.reason,
        receipt.staged_at,
    )
    return receipt.by is not None or not same
