"""
The pending file: everything that gives a file the pending name or takes that name away.

    NOTHING ──make_pending──▶ PENDING ──make_pending──▶ PENDING   (another file)
    PENDING ──discard──▶ NOTHING
    PENDING ──set_aside──▶ NOTHING                                (the file is named .refused)

The other two ways out are the rename to the live name (apply_at_start.py), and the end of a
restore that has overwritten the live content (conclude.py).
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    InvalidSnapshotError,
    NoPendingRestoreError,
    RestoreRefusedError,
    StoreFolderError,
)
from backups.sqlite.folder.paths import SIDECARS, StorePaths
from backups.sqlite.folder.temporary import owned
from backups.sqlite.kept.keep import has_something
from backups.sqlite.records.manifest import Manifest, find_manifest, sweep_manifests
from backups.sqlite.records.receipts import append_receipt, make_receipt
from backups.sqlite.site import Site


def make_pending(paths: StorePaths, source: Path, manifest: Manifest) -> None:
    """
    Give a synced file the pending name, after its manifest is written: the commit of staging.

    Sidecars of an earlier pending file, which some program has left, are removed first. If a step
    fails, the sync of the folder included, what was pending before is pending again, and the new
    manifest is removed.
    """
    with files.exclusive_folder(paths.folder), _earlier(paths) as earlier:
        was_pending, before = files.exists(paths.pending), paths.manifests()
        try:
            manifest.write(paths)
            unlink_pending_sidecars(paths)
            files.replace(source, paths.pending)  # invariant 2 of stage.py
            files.sync_folder(paths.folder)
        except OSError:
            is_out = files.exists(source) or _withdraw(paths, earlier, was_pending=was_pending)
            if is_out and paths.manifest(manifest.sha256) not in before:
                files.unlink(paths.manifest(manifest.sha256))
            raise
        with contextlib.suppress(OSError):  # it is pending; any other manifest matches nothing
            sweep_manifests(paths, but=manifest.sha256)


@contextlib.contextmanager
def _earlier(paths: StorePaths) -> Iterator[Path | None]:
    """A second name for what is pending, to go back to; None if nothing is, or without links."""
    earlier, name = None, paths.temporary("earlier")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(owned(paths.pending, name, files.link))
            earlier = name
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno not in files.NO_LINKS:
                raise
        yield earlier


def _withdraw(paths: StorePaths, earlier: Path | None, *, was_pending: bool) -> bool:
    """Undo the rename. Returns whether there was a way back."""
    if earlier is not None:
        files.replace(earlier, paths.pending)
    elif not was_pending:
        files.unlink(paths.pending)
    return earlier is not None or not was_pending


def discard(paths: StorePaths, *, discarded_by: str) -> Manifest | None:
    """
    Remove the pending file, and then its manifest, which means nothing without it.

    :raises NoPendingRestoreError: nothing is pending.
    :raises StoreFolderError: the file can't be removed, and is still pending.
    """
    try:
        with files.exclusive_folder(paths.folder):
            if not files.exists(paths.pending):
                raise NoPendingRestoreError("No restore is pending.")
            manifest = find_manifest(paths)
            _take_away(paths)
    except OSError as error:
        raise StoreFolderError(
            f"The pending restore {paths.pending} could not be discarded: {error.strerror}."
        ) from error
    _conclude_discard(paths, manifest, discarded_by)
    return manifest


def _take_away(paths: StorePaths) -> None:
    """Rename it first: that can be undone until the folder is synced."""
    earlier = paths.temporary("earlier")
    with owned(paths.pending, earlier, files.replace):
        try:
            files.sync_folder(paths.folder)
        except OSError:
            files.replace(earlier, paths.pending)
            raise


def _conclude_discard(paths: StorePaths, manifest: Manifest | None, discarded_by: str) -> None:
    """The file is gone, so no error here fails the discard; a start sweeps what is left."""
    receipt = make_receipt(datetime.now(UTC), "discarded", "", manifest, by=discarded_by)
    with contextlib.suppress(OSError):
        append_receipt(paths, receipt)
    with contextlib.suppress(OSError), files.exclusive_folder(paths.folder):
        if not files.exists(paths.pending):  # nobody has staged since
            unlink_pending_sidecars(paths)
            sweep_manifests(paths, but=None)


def verify_pending(paths: StorePaths) -> Manifest:
    """
    Compare the pending file with what was staged. Reads only.

    :raises RestoreRefusedError: it is another file now.
    :raises OSError: it can't be read now.
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
    What is still to run on the pending file, in order. Nothing for a kept copy if that is not
    known: it is put back all the same, without migrations.

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
    Note in the manifest, durably, what only this try knows: a start needs it if this try is
    interrupted. Notes of an interrupted try stay if nothing is left to find them out from.

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
    Rename the pending file and its sidecars, so that the next start does not try it again.

    :returns: its new name; None if the system refuses, and it is still pending.
    """
    attempt = 1
    try:
        while (refused := paths.refused(moment, attempt)).exists():
            attempt += 1
        files.replace(paths.pending, refused)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # it is aside; sidecars that are left are swept
        for suffix, sidecar in zip(SIDECARS, paths.pending_sidecars, strict=True):
            if files.exists(sidecar):
                files.replace(sidecar, refused.with_name(refused.name + suffix))
        files.sync_folder(paths.folder)
    return refused


def unlink_pending_sidecars(paths: StorePaths) -> None:
    """Remove what SQLite leaves beside a pending file that some program has opened."""
    for sidecar in paths.pending_sidecars:
        files.unlink(sidecar)
