"""
The front door: views, commands and starting processes take snapshots and restore them here.

A restore has two halves. ``stage_restore()`` checks an upload and keeps it beside the database.
``apply_pending_restore()`` puts it in place at the next start, before any connection opens. The
states, and what holds between any two steps: backups/store.py and docs/how-restore-works.md.

``database`` is always an alias in DATABASES; None means BACKUPS_DATABASE.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from backups.conf import conf
from backups.disk.timestamp import timestamp
from backups.exceptions import (
    BackupError,
    BackupNotSupportedError,
    DatabaseServerError,
    NotADatabaseError,
    NotEnoughSpaceError,
    RestoreBlockedError,
    RestoreRefusedError,
    UploadAbandonedError,
)
from backups.site import caches, local_store, outcomes
from backups.site.announced_restore import announced
from backups.site.closing import close_connections
from backups.site.local_store import get_store
from backups.site.outgoing_snapshot import OutgoingSnapshot
from backups.site.own_files import check_not_live, check_not_own
from backups.store import (
    Download,
    KeptCopy,
    PendingRestore,
    Prepared,
    Proof,
    Receipt,
    RestoreStatus,
    Snapshot,
    Tell,
    Turn,
    describe_defects,
)
from backups.unwrapping import UNPACK, Unwrapped, fill_in

__all__ = [
    "apply_now",
    "apply_pending_restore",
    "check_not_live",
    "check_not_own",
    "check_snapshot",
    "count_rows",
    "create_snapshot",
    "describe_defects",
    "describe_next_start",
    "discard_pending_restore",
    "foresee_warnings",
    "free_bytes",
    "get_restore_status",
    "get_store",
    "hold_presence",
    "hold_presence_of",
    "is_readable",
    "list_downloads",
    "list_kept_copies",
    "list_receipts",
    "media_type",
    "prepare_restore",
    "prepare_undo",
    "prove_snapshot",
    "release_presence",
    "repair",
    "resume_snapshot",
    "snapshot_name",
    "snapshot_prefix",
    "stage_restore",
    "take_upload_turn",
    "undo_restore",
]

logger = logging.getLogger(__name__)


# Snapshot


def create_snapshot(
    *,
    taken_by: str | None = None,
    compact: bool | None = None,
    resumable: bool = False,
    address: str | None = None,
    database: str | None = None,
) -> Snapshot:
    """
    Take a consistent copy of the database while others write.

    A compact one, or a dump of PostgreSQL, is whole on the disk before this returns, in a file that
    no longer has a name. SQLite's own pages are read while they are sent, which can fail in the
    middle.
    Close the snapshot to release what it holds.

    :param taken_by: the name of the key or the user, for the record.
    :param compact: which of the two; None for compact up to BACKUPS_COMPACT_UP_TO. If the pages
        can't be taken, it is compact anyway: ``method`` of the result says so.
    :param resumable: keep a compact one beside the database for BACKUPS_RESUME_SECONDS, so that
        ``taken_by`` can continue its download by its ``id``.
    :param address: where the request came from, for the record; None for this machine.
    :raises TooManySnapshotsError: BACKUPS_SNAPSHOTS_AT_ONCE are under way.
    :raises BackupNotSupportedError: there is no store for this database.
    :raises NotEnoughSpaceError: the disk has no room for the copy.
    :raises SnapshotFailedError: SQLite can't read the database.
    :raises StoreFolderError: the database's folder can't be written.
    """
    store = get_store(database)
    snapshot = store.create_snapshot(compact=compact, caller=taken_by if resumable else None)
    by = taken_by or "this process"
    logger.info("snapshot taken by %s: %d bytes, %s", by, snapshot.size, snapshot.method)
    if snapshot.defects:
        logger.warning("the database has old defects: %s", describe_defects(snapshot.defects))
    return OutgoingSnapshot(
        snapshot, taken_by=taken_by, address=address, record=store.record_download
    )


def resume_snapshot(
    snapshot_id: str,
    *,
    taken_by: str,
    first: int,
    last: int | None = None,
    address: str | None = None,
) -> Snapshot | None:
    """
    Send a part of a snapshot that was taken before, by its ``id``.

    ``address`` and errors are as for ``create_snapshot``.

    :param first: the first byte to send, counted from 0.
    :param last: the last one; None for all that follow.
    :returns: None if it is gone, or another caller took it.
    """
    store = get_store()
    snapshot = store.resume_snapshot(snapshot_id, caller=taken_by, first=first, last=last)
    if snapshot is None:
        return None
    logger.info("download resumed by %s: from byte %d of %d", taken_by, first, snapshot.size)
    return OutgoingSnapshot(
        snapshot, taken_by=taken_by, address=address, record=store.record_download
    )


def check_snapshot(
    path: Path, *, is_own: bool = True, database: str | None = None
) -> tuple[str, ...]:
    """
    Check a snapshot's file as an upload is checked. Changes nothing.

    :param is_own: whether it comes from this site, and not from another.
    :returns: a sentence for each problem that would not prevent a restore.
    :raises TooManyUploadsError: BACKUPS_UPLOADS_AT_ONCE are under way.
    :raises InvalidSnapshotError: a restore would refuse it.
    :raises StoreFolderError: the file can't be read and written.
    """
    with take_upload_turn(database=database):
        return get_store(database).check_snapshot(path, is_own=is_own)


def prove_snapshot(
    chunks: Iterable[bytes],
    *,
    at_least: int = 0,
    database: str | None = None,
    watch: Callable[[], None] | None = None,
) -> Proof:
    """
    Try a snapshot: check it as an upload is checked, bring it to the installed release as a start
    would, and count its rows. All of that happens to a scratch copy beside the database, which is
    removed. The live database is not touched, and nothing is staged.

    Parameters are as for ``stage_restore``.

    :raises BackupError: as ``stage_restore``, which would refuse the snapshot too.
    :raises RestoreRefusedError: a migration fails on it.
    :raises RestoreBlockedError: the migrations could not be run to their end.
    """
    with take_upload_turn(database=database):
        return get_store(database).prove(
            chunks, max_bytes=conf.max_upload_bytes, at_least=at_least, watch=watch
        )


def snapshot_name(taken_at: datetime, *, database: str | None = None) -> str:
    """
    ``taskdog-backup-20261123-024538.db``: what to call a snapshot of that time, in UTC. A dump of
    PostgreSQL ends with ``.dump``.

    If the database is not BACKUPS_DATABASE, its alias is added: ``taskdog-other-backup-…``.
    """
    return f"{snapshot_prefix(database=database)}{timestamp(taken_at)}{get_store(database).suffix}"


def media_type(*, database: str | None = None) -> str:
    """What a snapshot is sent as: ``application/vnd.sqlite3``."""
    return get_store(database).media_type


def snapshot_prefix(*, database: str | None = None) -> str:
    """``taskdog-backup-``: what the names of a database's snapshots begin with."""
    is_other = database not in (None, conf.database)
    name = f"{conf.name}-{database}" if is_other else conf.name
    return f"{name}-backup-"


# Stage, discard, status


def take_upload_turn(*, database: str | None = None) -> Turn:
    """
    Take one of the BACKUPS_UPLOADS_AT_ONCE turns, before an upload's first byte is read.

    :returns: the turn, which ends with its ``with`` block and with its process.
    :raises TooManyUploadsError: none is free.
    :raises BackupNotSupportedError: there is no store for this database.
    :raises StoreFolderError: the lock file can't be opened.
    """
    return get_store(database).take_upload_turn()


def stage_restore(
    chunks: Iterable[bytes],
    *,
    staged_by: str,
    at_least: int = 0,
    account: str | None = None,
    database: str | None = None,
    accept: Collection[str] = (),
    turn: Turn | None = None,
    watch: Callable[[], None] | None = None,
    tell: Tell = lambda *_: None,
) -> PendingRestore:
    """
    Check an uploaded snapshot and keep it for the next start.

    The live database is not touched. Everything happens in its folder, so that each move is a
    rename within one file system:

    1. ``chunks`` are written to ``<db>.incoming-<random>`` (0600) and hashed.
    2. The login sessions in the file are removed (BACKUPS_CLEAR_SESSIONS), and it is checked:
       header, length, integrity, foreign keys, migrations, tables, triggers and views.
    3. It is synced, renamed to ``<db>.pending-restore``, and the folder is synced.

    An upload in gzip or zstd is unpacked as it arrives. ``size`` and ``sha256`` of the result, and
    every limit, are about the unpacked database.

    Step 3 replaces a restore that was pending. If anything fails, the incoming file is removed and
    nothing else has changed.

    On PostgreSQL the upload is brought into a database of its own, and that is renamed:
    ``backups/postgres/staging.py``.

    :param chunks: the snapshot's bytes in order; read once, never held whole.
    :param staged_by: the name of the key or the user, for the record.
    :param at_least: how many bytes will certainly come: too many are refused before any is read.
    :param account: the site's user who stages, if any: the result warns if the snapshot lacks it.
    :param accept: problems to accept: "defects" in rows that SQLite can read; a "foreign"
        database without any of this project's own apps.
    :param turn: what ``take_upload_turn`` returned; it stays the caller's. None to take one.
    :param watch: called now and then during the check; an error that it raises ends the check.
    :param tell: called now and then during a long check: what it does now, how much of that is
        done, and of how much, if that is known.
    :raises TooManyUploadsError: BACKUPS_UPLOADS_AT_ONCE are under way.
    :raises SnapshotTooLargeError: more than BACKUPS_MAX_UPLOAD_BYTES; the rest is left unread.
    :raises NotEnoughSpaceError: the disk has no room for it.
    :raises InvalidSnapshotError: a subclass for each check, with its own sentence. Defects
        that the live database has too, or that are accepted, are warnings.
    :raises BackupNotSupportedError: there is no store for this database.
    :raises StoreFolderError: the database's folder can't be written.

    Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
    """
    with (
        _in_turn(turn, database) as held,
        prepare_restore(
            chunks,
            staged_by=staged_by,
            at_least=at_least,
            account=account,
            database=database,
            accept=accept,
            turn=held,
            watch=watch,
            tell=tell,
        ) as prepared,
    ):
        return prepared.stage()


@contextmanager
def prepare_restore(
    chunks: Iterable[bytes],
    *,
    staged_by: str,
    at_least: int = 0,
    account: str | None = None,
    database: str | None = None,
    accept: Collection[str] = (),
    turn: Turn | None = None,
    watch: Callable[[], None] | None = None,
    on_received: Callable[[], None] = lambda: None,
    tell: Tell = lambda *_: None,
) -> Iterator[Prepared]:
    """
    Check an uploaded snapshot, as ``stage_restore`` does, and leave it to the block to stage it:
    ``stage`` of what this yields. If that is not called, nothing of the upload stays.

    A turn that this took ends before the block begins: the block may wait for a person. A process
    that waits there, and may keep a restart waiting, should hold no presence and no connection.

    Parameters and errors are those of ``stage_restore``.

    :param on_received: called once all bytes have come, before the check.
    """
    unwrapped = Unwrapped(chunks)
    store = get_store(database)
    with ExitStack() as stack:
        try:
            with _in_turn(turn, database):
                prepared = stack.enter_context(
                    store.prepare_restore(
                        unwrapped,
                        staged_by=staged_by,
                        max_bytes=conf.max_upload_bytes,
                        at_least=at_least,
                        account=account,
                        accept=accept,
                        watch=watch,
                        on_received=on_received,
                        tell=tell,
                    )
                )
        except NotADatabaseError as error:  # what was unpacked is compressed once more
            if unwrapped.wrapping:
                first = f"Unpack it first: {UNPACK[unwrapped.wrapping]} < FILE > unpacked."
                error.hint = f"{first} {fill_in(error.hint, 'unpacked')}"
            raise
        except UploadAbandonedError as error:
            logger.warning("restore by %s not staged: %s", staged_by, error)
            raise
        yield announced(prepared, store, *_of_wrapping(unwrapped))


def _of_wrapping(unwrapped: Unwrapped) -> Iterator[str]:
    if unwrapped.wrapping:
        yield (
            f"The upload was unpacked from {unwrapped.wrapping}: its size and SHA-256 describe the"
            " unpacked file."
        )


def _in_turn(turn: Turn | None, database: str | None) -> AbstractContextManager[Turn]:
    """The caller's turn, which stays open, or a new one."""
    return take_upload_turn(database=database) if turn is None else nullcontext(turn)


def foresee_warnings(head: bytes) -> tuple[str, ...]:
    """
    The warnings of staging that a file's first bytes foretell, compressed or not, for a person to
    read before anything is done. Reads nothing.
    """
    with suppress(BackupError):  # what can't be unpacked will be refused
        unwrapped = next(iter(Unwrapped([head])), b"")
        return local_store.foresee_warnings(unwrapped)
    return ()


def undo_restore(
    *,
    staged_by: str,
    database: str | None = None,
    turn: Turn | None = None,
    watch: Callable[[], None] | None = None,
    tell: Tell = lambda *_: None,
) -> PendingRestore:
    """
    Stage the kept copy of the last restore that was applied: applying it undoes that restore.

    It is checked like any upload, but a problem in it is only a warning: the site ran with it. The
    kept copy stays where it is. ``turn``, ``watch`` and ``tell`` are as for ``stage_restore``.

    :raises NoKeptCopyError: no restore has been applied, or its kept copy is gone.
    :raises BackupError: as ``stage_restore``, except ``InvalidSnapshotError``.
    """
    with (
        _in_turn(turn, database) as held,
        prepare_undo(
            staged_by=staged_by, database=database, turn=held, watch=watch, tell=tell
        ) as prepared,
    ):
        return prepared.stage()


@contextmanager
def prepare_undo(
    *,
    staged_by: str,
    database: str | None = None,
    turn: Turn | None = None,
    watch: Callable[[], None] | None = None,
    on_received: Callable[[], None] = lambda: None,
    tell: Tell = lambda *_: None,
) -> Iterator[Prepared]:
    """
    Check the kept copy of the last restore, as ``undo_restore`` does, and leave it to the block to
    stage it, as ``prepare_restore`` does.

    :raises BackupError: as ``undo_restore``.
    """
    store = get_store(database)
    with ExitStack() as stack:
        try:
            with _in_turn(turn, database):
                prepared = stack.enter_context(
                    store.prepare_undo(
                        staged_by=staged_by, watch=watch, on_received=on_received, tell=tell
                    )
                )
        except UploadAbandonedError as error:
            logger.warning("undo by %s not staged: %s", staged_by, error)
            raise
        yield announced(prepared, store)


def apply_now(
    *, applied_by: str, sha256: str | None = None, database: str | None = None
) -> Receipt:
    """
    Apply the pending restore without a restart, in one transaction of the live database.

    Every open connection of every process reads the new content from its next transaction on.
    What was live is kept first. After a kill at any moment, the database has the old content or
    the new.

    :param applied_by: the name of the key or the user, for the record.
    :param sha256: of the snapshot to apply; None for whichever is pending.
    :raises NoPendingRestoreError: nothing is pending.
    :raises NeedsRestartError: it can't be applied while the site runs; it stays pending.
    :raises RestoreBlockedError: another snapshot is pending now; that stays pending.
    :raises RestoreRefusedError: the pending file is not what was staged; it is set aside.
    :raises NotEnoughSpaceError: the disk has no room for both contents; it stays pending.

    Source: https://www.sqlite.org/backup.html
    """
    try:
        receipt = get_store(database).apply_now(applied_by=applied_by, sha256=sha256)
    except (RestoreBlockedError, RestoreRefusedError, NotEnoughSpaceError) as error:
        logger.warning("restore not applied while the site runs: %s", error)
        outcomes.announce(get_store(database))
        raise
    outcomes.log(receipt, database)
    caches.forget()
    outcomes.announce(get_store(database))
    return receipt


def discard_pending_restore(
    *, discarded_by: str, database: str | None = None
) -> PendingRestore | None:
    """
    Discard the pending restore. The live database is not touched.

    :returns: what was pending, as far as it is known.
    :raises NoPendingRestoreError: nothing is pending.
    :raises StoreFolderError: the file can't be removed; it is still pending.
    """
    discarded = get_store(database).discard_pending_restore(discarded_by=discarded_by)
    logger.info("pending restore discarded by %s", discarded_by)
    outcomes.announce(get_store(database))
    return discarded


def get_restore_status(*, database: str | None = None) -> RestoreStatus:
    """What is pending, and the outcome of the last restore. Reads only."""
    return get_store(database).get_status()


def list_receipts(*, database: str | None = None) -> list[Receipt]:
    """Everything that happened to restores, newest first. Reads only."""
    return get_store(database).list_receipts()


def list_kept_copies(*, database: str | None = None) -> list[KeptCopy]:
    """The kept copies of what was live before each restore, newest first. Reads only."""
    return get_store(database).list_kept_copies()


def list_downloads(*, database: str | None = None) -> list[Download]:
    """Who has taken snapshots, newest first, as far as it is recorded. Reads only."""
    return get_store(database).list_downloads()


def count_rows(*, database: str | None = None) -> Mapping[str, int]:
    """
    The number of rows of each table of the live database. A table that can't be read is left out;
    empty if nothing can be. Changes nothing.
    """
    return get_store(database).count_rows()


def free_bytes(*, database: str | None = None) -> int | None:
    """How many bytes of the database's disk are free; None if a server does not tell."""
    return get_store(database).free_bytes()


def is_readable() -> bool:
    """
    Whether there is a live database that can be read. Creates nothing and changes nothing.

    Connecting as the site does would create a missing one, and harm the rest of a ruined one.

    :raises RestoreBlockedError: this can't be determined now.
    :raises BackupNotSupportedError: there is no store for this database.
    """
    return get_store().is_readable()


def describe_next_start(pending: PendingRestore, *, database: str | None = None) -> str:
    """Say in a sentence what the next start will do with a pending restore."""
    return get_store(database).describe_next_start(pending)


# Start


def apply_pending_restore() -> Receipt | None:
    """
    Apply the pending restore, if there is one and no other process has the database open.

    Call it before this process opens the database. From then on, the process holds presence until
    it ends. A restore never stops a start: whatever the outcome, the database is whole, and the
    outcome is logged and returned. The same happens to every other database in DATABASES that is
    SQLite in a file, or PostgreSQL; if one fails, the others are not affected.

    :returns: applied, refused (the snapshot is set aside) or blocked (it stays pending); None
        if nothing was pending, or there is no store for the database.
    """
    return _for_each_database(_apply_pending)


def repair() -> None:
    """
    Finish what a crash interrupted, and apply nothing.

    A process that applies nothing must call this before it opens the database. Opening a database
    that was just put in place changes it, and hides that it was put there.
    """
    _for_each_database(_repair)


def hold_presence() -> None:
    """Tell other processes that this one uses the databases, without applying anything."""
    _for_each_database(hold_presence_of)


def hold_presence_of(database: str) -> None:
    """Tell other processes that this one uses this database. Does nothing if it has no store."""
    with suppress(BackupNotSupportedError):
        get_store(database).hold_presence()


def release_presence() -> None:
    """Tell other processes that this one no longer uses the databases."""
    for alias in (conf.database, *local_store.other_aliases()):
        with suppress(BackupNotSupportedError, DatabaseServerError):
            get_store(alias).release_presence()


def _apply_pending(alias: str) -> Receipt | None:
    with suppress(BackupNotSupportedError):
        # An app that was ready before us may have connected, and would keep using the old file.
        close_connections()
        store = get_store(alias)
        if swept := store.sweep():
            logger.info("removed temporary files of ended processes: %s", ", ".join(swept))
        receipt = store.apply_pending_restore()
        if receipt is not None:
            outcomes.log(receipt, alias)
        return receipt
    return None


def _repair(alias: str) -> None:
    with suppress(BackupNotSupportedError):
        receipt = get_store(alias).repair()
        if receipt is not None and receipt.outcome == "applied":
            outcomes.log(receipt, alias)


def _for_each_database(step: Callable[[str], Receipt | None]) -> Receipt | None:
    """For BACKUPS_DATABASE, then for the others, of which this process may only read some."""
    try:
        return step(conf.database)
    finally:
        for alias in local_store.other_aliases():
            try:
                step(alias)
            except (BackupError, OSError) as error:
                logger.info("no restore of the database %r can be applied: %s", alias, error)
