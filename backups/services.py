"""
The front door: what views, commands and the start of a process call, and nothing else does.

A restore has two halves. ``stage_restore()`` checks an upload and keeps it beside the
database; ``apply_pending_restore()`` puts it in place at the next start, before any
connection opens. The states, and what holds between any two steps: backups/store.py and
docs/how-restore-works.md.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from django.db import connections

from backups import local, remembered, signals
from backups.conf import conf
from backups.exceptions import (
    BackupNotSupportedError,
    NotEnoughSpaceError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.local import get_store
from backups.outgoing import OutgoingSnapshot
from backups.own_files import check_not_live, check_not_own
from backups.sqlite import live
from backups.sqlite.connection import has_content
from backups.sqlite.paths import timestamp
from backups.store import KeptCopy, PendingRestore, Receipt, RestoreStatus, Snapshot

__all__ = [
    "apply_now",
    "apply_pending_restore",
    "check_not_live",
    "check_not_own",
    "create_snapshot",
    "describe_next_start",
    "discard_pending_restore",
    "get_restore_status",
    "get_store",
    "hold_presence",
    "is_readable",
    "list_kept_copies",
    "list_receipts",
    "release_presence",
    "repair",
    "resume_snapshot",
    "snapshot_name",
    "stage_restore",
    "undo_restore",
]

logger = logging.getLogger(__name__)


# Snapshot


def create_snapshot(
    *, taken_by: str | None = None, compact: bool | None = None, resumable: bool = False
) -> Snapshot:
    """
    Take a consistent copy of the database while others write.

    A compact one is whole on the disk before this returns, in a file that has no name any more.
    The database's own pages are read while they are handed out, and can fail in the middle.
    Close the snapshot to give back what it holds.

    :param taken_by: the name of the key or the user, for the record.
    :param compact: which of the two; None for the first up to BACKUPS_COMPACT_UP_TO. Where the
        pages can't be had, it is compact all the same: ``method`` of the result tells.
    :param resumable: keep a compact one beside the database for BACKUPS_RESUME_SECONDS, so that
        ``taken_by`` can ask for its rest by its ``id``.
    :returns: a snapshot to iterate over; its ``size`` is in bytes, ``taken_at`` in UTC.
    :raises TooManySnapshotsError: BACKUPS_SNAPSHOTS_AT_ONCE are under way.
    :raises BackupNotSupportedError: the database has no file behind it.
    :raises NotEnoughSpaceError: the disk has no room for the copy.
    :raises SnapshotFailedError: SQLite can't read the database.
    :raises StoreFolderError: the database's folder can't be written.
    """
    snapshot = get_store().create_snapshot(compact=compact, caller=taken_by if resumable else None)
    logger.info(
        "snapshot taken by %s: %d bytes, %s",
        taken_by or "this process",
        snapshot.size,
        snapshot.method,
    )
    return OutgoingSnapshot(snapshot, taken_by=taken_by)


def resume_snapshot(
    snapshot_id: str, *, taken_by: str, first: int, last: int | None = None
) -> Snapshot | None:
    """
    Hand out a part of a snapshot that was taken before, by its ``id``.

    :param first: the first byte that is wanted, counted from 0.
    :param last: the last one; None for all that follow.
    :returns: None if it is not there any more, or another one took it.
    :raises TooManySnapshotsError: as for ``create_snapshot``.
    """
    snapshot = get_store().resume_snapshot(snapshot_id, caller=taken_by, first=first, last=last)
    if snapshot is None:
        return None
    logger.info("download resumed by %s: from byte %d of %d", taken_by, first, snapshot.size)
    return OutgoingSnapshot(snapshot, taken_by=taken_by)


def snapshot_name(taken_at: datetime) -> str:
    """``taskdog-backup-20261123-024538.db``: what to call a snapshot of that time, in UTC."""
    return f"{conf.name}-backup-{timestamp(taken_at)}.db"


# Stage, discard, status


def stage_restore(
    chunks: Iterable[bytes], *, staged_by: str, at_least: int = 0, account: str | None = None
) -> PendingRestore:
    """
    Check an uploaded snapshot and keep it for the next start.

    The live database is not touched. Everything happens in its folder, so that each move is
    a rename within one file system:

    1. ``chunks`` are written to ``<db>.incoming-<random>`` (0600), hashed as they pass.
    2. The login sessions in the file are removed (BACKUPS_CLEAR_SESSIONS), and it is checked:
       header, length, integrity, foreign keys, migrations, tables, triggers and views.
    3. It is synced, renamed to ``<db>.pending-restore``, and the folder is synced.

    A restore that was pending is replaced by step 3, not before. If anything fails, the
    incoming file is removed and nothing else has changed.

    :param chunks: the snapshot's bytes in order; read once, never held whole.
    :param staged_by: the name of the key or the user, for the record.
    :param at_least: how many bytes will come for sure, to refuse too many before any is read.
    :param account: the user name of who stages, if that is a user of the site: the result
        warns if the snapshot has no such user.
    :raises SnapshotTooLargeError: past BACKUPS_MAX_UPLOAD_BYTES; the rest is left unread.
    :raises NotEnoughSpaceError: the disk has no room for it.
    :raises InvalidSnapshotError: a subclass for each check, with a sentence of its own.
    :raises BackupNotSupportedError: the database has no file behind it.
    :raises StoreFolderError: the database's folder can't be written.

    Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
    """
    pending = get_store().stage_restore(
        chunks,
        staged_by=staged_by,
        max_bytes=conf.max_upload_bytes,
        at_least=at_least,
        account=account,
    )
    logger.info(
        "restore staged by %s: %d bytes, SHA-256 %s", staged_by, pending.size, pending.sha256
    )
    _announce()
    return pending


def undo_restore(*, staged_by: str) -> PendingRestore:
    """
    Stage the kept copy of the last restore that was applied: to apply it undoes that restore.

    It passes the checks of any upload. The kept copy stays where it is.

    :raises NoKeptCopyError: no restore has been applied, or what it kept is gone.
    :raises BackupError: as ``stage_restore``.
    """
    pending = get_store().stage_kept_copy(staged_by=staged_by)
    logger.info("undo staged by %s: %s", staged_by, pending.undoes)
    _announce()
    return pending


def apply_now(*, applied_by: str, sha256: str | None = None) -> Receipt:
    """
    Apply the pending restore without a restart, in one transaction of the live database.

    Every open connection of every process reads the new content from its next transaction on.
    What was live is kept first. Killed at any moment, it is the old or the new content.

    :param applied_by: the name of the key or the user, for the record.
    :param sha256: of the snapshot that is meant; None for whichever is pending.
    :raises NoPendingRestoreError: nothing is pending.
    :raises NeedsRestartError: it can't be done while the site runs; it stays pending.
    :raises RestoreBlockedError: another one is pending by now; that stays pending.
    :raises RestoreRefusedError: the pending file is not what was staged; it is set aside.
    :raises NotEnoughSpaceError: the disk has no room for both contents; it stays pending.

    Source: https://www.sqlite.org/backup.html
    """
    try:
        receipt = get_store().apply_now(applied_by=applied_by, sha256=sha256)
    except (RestoreBlockedError, RestoreRefusedError, NotEnoughSpaceError) as error:
        logger.warning("restore not applied while the site runs: %s", error)
        _announce()
        raise
    _log(receipt)
    remembered.forget()
    _announce()
    return receipt


def discard_pending_restore(*, discarded_by: str) -> PendingRestore | None:
    """
    Forget the pending restore. The live database is not touched.

    :returns: what was pending, as far as it is known.
    :raises NoPendingRestoreError: nothing is pending.
    :raises StoreFolderError: the file can't be removed; it is still pending.
    """
    discarded = get_store().discard_pending_restore(discarded_by=discarded_by)
    logger.info("pending restore discarded by %s", discarded_by)
    _announce()
    return discarded


def get_restore_status() -> RestoreStatus:
    """Tell what waits for the next start and what came of the last restore. Reads only."""
    return get_store().get_status()


def list_receipts() -> list[Receipt]:
    """Everything that happened to restores, newest first. Reads only."""
    return get_store().list_receipts()


def list_kept_copies() -> list[KeptCopy]:
    """What was live before each restore, as far as it is kept; newest first. Reads only."""
    return get_store().list_kept_copies()


def is_readable() -> bool:
    """
    Whether there is a live database that SQLite can read. Creates nothing and changes nothing.

    To connect as the site does would create a missing one, and harm what is left of a ruined one.

    :raises RestoreBlockedError: it can't be told now.
    :raises BackupNotSupportedError: the database has no file behind it.
    """
    database = local.database()
    return has_content(database) and live.is_readable(database)


def describe_next_start(pending: PendingRestore) -> str:
    """Say in a sentence what the next start will do with a pending restore."""
    database = local.database()
    number = len(pending.migrations)
    steps = [f"runs {number} migration{'s' * (number > 1)} on the snapshot"] if number else []
    if has_content(database):
        steps.append(f"keeps the current database as {database.name}.pre-restore-<time>")
    steps.append(f"puts the snapshot in place as {database.name}")
    return f"The next start {', '.join(steps[:-1])}{' and ' * (len(steps) > 1)}{steps[-1]}."


# Start


def apply_pending_restore() -> Receipt | None:
    """
    Apply the pending restore, if there is one and no other process has the database open.

    To be called before this process opens the database. Afterwards the process holds presence
    for its life. Nothing about a restore stops a start: whatever comes of it, the database is
    whole, and what came of it is logged and returned.

    :returns: applied, refused (the snapshot is set aside) or blocked (it stays pending); None
        if nothing was pending, or the database has no file behind it.
    """
    with suppress(BackupNotSupportedError):
        # An app that was ready before us may have queried, and would go on with the old file.
        connections[conf.database].close()
        store = get_store()
        if swept := store.sweep():
            logger.info("removed what killed processes had left: %s", ", ".join(swept))
        receipt = store.apply_pending_restore()
        if receipt is not None:
            _log(receipt)
        return receipt
    return None


def repair() -> None:
    """
    Finish what a crash interrupted, and apply nothing. To be called as the above is.

    Also a process that will not apply must come here first: to open a database that has just been
    put in place changes it, and then nobody could tell that it was.
    """
    with suppress(BackupNotSupportedError):
        if (receipt := get_store().repair()) is not None and receipt.outcome == "applied":
            _log(receipt)


def hold_presence() -> None:
    """Tell other processes that this one uses the database, without applying anything."""
    with suppress(BackupNotSupportedError):
        get_store().hold_presence()


def release_presence() -> None:
    """Tell other processes that this one does not use the database any more."""
    with suppress(BackupNotSupportedError):
        get_store().release_presence()


def _announce() -> None:
    """Tell the site's own apps that there is a new receipt, and log what goes wrong there."""
    for receipt in get_store().list_receipts()[:1]:  # none if none could be written
        signals.restore_recorded.send_robust(sender=None, receipt=receipt)


def _log(receipt: Receipt) -> None:
    if receipt.outcome == "applied":
        logger.warning(
            "restore applied (staged by %s, SHA-256 %s); %s%s",
            receipt.staged_by,
            receipt.sha256,
            f"the old database is kept as {receipt.kept}" if receipt.kept else "it replaces none",
            f"; {receipt.reason}" if receipt.reason else "",
        )
    elif receipt.outcome == "refused":
        logger.error(
            "restore refused, the site runs on its old data: %s The snapshot is set aside as %s",
            receipt.reason,
            receipt.kept,
        )
    else:
        logger.warning(
            "restore still pending, the site runs on its old data: %s"
            " To apply it, stop every process of the site, then start the server",
            receipt.reason,
        )
