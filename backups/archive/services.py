"""
The front door of the archive: views, commands and the schedule reach stored snapshots here.

A stored snapshot is a file in a storage, ``taskdog-backup-<time>.db.zst``, or ``….zst.age`` where
it is encrypted. A caller names it by its id (the time in its name), by its name, or by ``latest``.

``database`` is always an alias in DATABASES; None means BACKUPS_DATABASE.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from backups import signals
from backups.archive.catalog import ListedPage, StoredSnapshot
from backups.archive.drill import verify_file, verify_snapshot
from backups.archive.holding import hold, release
from backups.archive.key_file import create_key_file
from backups.archive.look import check_last, look
from backups.archive.manifest import Verification
from backups.archive.media.restoring import MediaRestored, restore_media
from backups.archive.media.site_files import check_media_storage
from backups.archive.media.tidying import MediaTidied, check_media, tidy_media
from backups.archive.outgoing import check_length, open_snapshot
from backups.archive.preparing import prepare_snapshot, prepare_upload
from backups.archive.prune import delete, prune
from backups.archive.reading import (
    read_checked,
    read_snapshot,
    unpack_received,
    unpack_snapshot,
)
from backups.archive.receipts import list_receipts
from backups.archive.retention import Verdict
from backups.archive.state import (
    note_begun,
    note_failed,
    note_stored,
    note_unverified,
    note_verified,
    noting,
    read_state,
)
from backups.archive.storing import Stored, get_catalog, settling, store_snapshot
from backups.disk.progress import Progress
from backups.exceptions import ArchiveError, BusyError, TooManySnapshotsError
from backups.store import PendingRestore, Tell, Turn

__all__ = [
    "ListedPage",
    "MediaRestored",
    "MediaTidied",
    "Stored",
    "StoredSnapshot",
    "Verdict",
    "Verification",
    "check_last",
    "check_length",
    "check_media",
    "check_media_storage",
    "create_key_file",
    "delete",
    "find_snapshot",
    "hold",
    "list_all",
    "list_missing",
    "list_page",
    "list_receipts",
    "list_snapshots",
    "look",
    "open_snapshot",
    "prepare_snapshot",
    "prepare_upload",
    "prune",
    "read_checked",
    "read_snapshot",
    "read_state",
    "release",
    "restore_media",
    "settling",
    "stage_snapshot",
    "store",
    "tidy_media",
    "unpack_received",
    "unpack_snapshot",
    "verify",
    "verify_file",
    "where",
]


def where(*, database: str | None = None) -> str:
    """The storage, in words: ``the folder /srv/backups``."""
    return get_catalog(database).files.where


def store(
    *,
    by: str,
    schedule: str | None = None,
    label: str | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
    expect: Progress = lambda _: None,
) -> Stored:
    """
    Store a snapshot of the database, as ``storing.store_snapshot`` does, and remember how that
    went: ``read_state``.
    """
    began = datetime.now(UTC)
    with noting():
        note_begun(database=database)
    try:
        stored = store_snapshot(
            by=by,
            schedule=schedule,
            label=label,
            database=database,
            progress=progress,
            expect=expect,
        )
    except (BusyError, TooManySnapshotsError):  # not a failure: the caller can try again
        raise
    except Exception as error:
        with noting():
            note_failed(str(error), database=database)
        signals.backup_failed.send_robust(sender=None, database=database, error=error, by=by)
        raise
    with noting():
        note_stored(stored.snapshot, is_new=stored.is_new, began=began, database=database)
    return stored


def list_snapshots(*, database: str | None = None) -> list[StoredSnapshot]:
    """
    Every stored snapshot, the newest first.

    :raises StorageError: the storage fails.
    """
    return get_catalog(database).snapshots()


def list_missing(*, database: str | None = None) -> list[str]:
    """
    The names of stored files that are gone, although their manifests are there.

    :raises StorageError: the storage fails.
    """
    return get_catalog(database).missing()


def list_all(*, database: str | None = None) -> tuple[list[StoredSnapshot], list[str]]:
    """
    What ``list_snapshots`` and ``list_missing`` return, of one look at the listing.

    :raises StorageError: the storage can't be asked.
    """
    return get_catalog(database).look()


def list_page(first: int, count: int, *, database: str | None = None) -> ListedPage:
    """
    At most ``count`` stored snapshots after the ``first`` newest ones, how many there are, and what
    ``list_missing`` returns, of one look at the listing. Only their manifests are read.

    :raises StorageError: the storage can't be asked.
    """
    return get_catalog(database).page(first, count)


def find_snapshot(
    word: str, *, even_lost: bool = False, database: str | None = None
) -> StoredSnapshot:
    """
    The stored snapshot with this id or this name; the newest if ``word`` is ``latest``.

    :param even_lost: also find one whose file is gone, by its manifest.
    :raises NotStoredError: there is no such snapshot.
    :raises StorageError: the storage fails.
    """
    return get_catalog(database).find(word, even_lost=even_lost)


def stage_snapshot(
    word: str,
    *,
    staged_by: str,
    identity_file: Path | None = None,
    account: str | None = None,
    accept: Collection[str] = (),
    turn: Turn | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
    on_received: Callable[[], None] = lambda: None,
    tell: Tell = lambda *_: None,
) -> PendingRestore:
    """
    Stage a stored snapshot, as ``services.stage_restore`` stages an upload. It can't be deleted
    until it is checked.

    :param word: its id, its name, or ``latest``.
    :param progress: called with the number of bytes of each step. The sum is the database's size.
    :param on_received: called once all bytes have come, before the check.
    :param tell: called now and then during a long check, as for ``services.stage_restore``.
    :raises NotStoredError: there is no such snapshot.
    :raises BackupError: as ``unpack_snapshot`` and ``services.stage_restore``.
    """
    with prepare_snapshot(
        word,
        staged_by=staged_by,
        identity_file=identity_file,
        account=account,
        accept=accept,
        turn=turn,
        database=database,
        progress=progress,
        on_received=on_received,
        tell=tell,
    ) as prepared:
        return prepared.stage()


def verify(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    read_media: bool = True,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> Verification:
    """
    Verify a stored snapshot, as ``drill.verify_snapshot`` does, and remember the result, as
    ``read_state`` shows; "unreadable" says nothing about the snapshot, and is not remembered.
    """
    stored, verification = verify_snapshot(
        word,
        by=by,
        identity_file=identity_file,
        read_media=read_media,
        database=database,
        progress=progress,
    )
    if verification.is_good:
        with noting():
            note_verified(stored, verification, database=database)
    elif verification.outcome != "unreadable":
        error = ArchiveError(f"{stored.name}: {verification.sentence}")
        with noting():
            note_unverified([stored.id], database=database)
            note_failed(str(error), database=database)
        signals.backup_failed.send_robust(sender=None, database=database, error=error, by=by)
    return verification
