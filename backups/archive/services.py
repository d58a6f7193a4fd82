"""
The front door of the archive: views, commands and the schedule work on stored snapshots here.

A stored snapshot is a file in a storage, ``taskdog-backup-<time>.db.zst``, or ``….zst.age`` where
it is encrypted. It is named by its id, the time in its name, or by ``latest``.

``database`` is always an alias in DATABASES; None means BACKUPS_DATABASE.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from backups import services, signals
from backups.archive.catalog import StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.media import tidying
from backups.archive.media.restoring import MediaRestore, MediaRestored
from backups.archive.media.site_files import get_site_files
from backups.archive.media.tidying import MediaTidied
from backups.archive.state import note_begun, note_failed, note_stored, read_state
from backups.archive.storing import Stored, get_catalog, settling, store_snapshot
from backups.archive.unpacking import checked, unpack
from backups.conf import conf
from backups.exceptions import BackupError
from backups.store import PendingRestore, Turn

__all__ = [
    "MediaRestored",
    "MediaTidied",
    "Stored",
    "StoredSnapshot",
    "check_media",
    "check_media_storage",
    "find_snapshot",
    "list_snapshots",
    "read_checked",
    "read_snapshot",
    "read_state",
    "restore_media",
    "settling",
    "stage_snapshot",
    "store",
    "tidy_media",
    "unpack_snapshot",
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
    progress: Callable[[int], None] = lambda _: None,
) -> Stored:
    """
    Store a snapshot of the database, as ``storing.store_snapshot`` does, and remember how that
    went: ``read_state``.
    """
    note_begun(database=database)
    try:
        stored = store_snapshot(
            by=by, schedule=schedule, label=label, database=database, progress=progress
        )
    except Exception as error:
        with suppress(BackupError):
            note_failed(str(error), database=database)
        signals.backup_failed.send_robust(sender=None, database=database, error=error, by=by)
        raise
    note_stored(stored.snapshot, is_new=stored.is_new, database=database)
    return stored


def list_snapshots(*, database: str | None = None) -> list[StoredSnapshot]:
    """
    Every stored snapshot, the newest first.

    :raises StorageError: the storage can't be asked.
    """
    return get_catalog(database).snapshots()


def find_snapshot(word: str, *, database: str | None = None) -> StoredSnapshot:
    """
    One of them, by its id, its name, or ``latest``.

    :raises NotStoredError: there is none.
    :raises StorageError: the storage can't be asked.
    """
    return get_catalog(database).find(word)


def read_snapshot(
    stored: StoredSnapshot, *, first: int = 0, last: int | None = None, database: str | None = None
) -> Iterator[bytes]:
    """
    The bytes of the stored file as they are, from ``first`` to ``last``, both included.

    :raises StorageError: the storage can't read it, also in the middle.
    """
    return get_catalog(database).files.chunks(stored.name, first, last)


def read_checked(stored: StoredSnapshot, *, database: str | None = None) -> Iterator[bytes]:
    """
    All bytes of the stored file, which are compared with the manifest's hash at their end.

    :raises InvalidSnapshotError: it is cut off, or was changed.
    :raises StorageError: the storage can't read it.
    """
    chunks, manifest = read_snapshot(stored, database=database), stored.manifest
    if manifest is None:
        return chunks
    return checked(
        chunks, stored.name, size=manifest.size, sha256=manifest.sha256, what="the stored file"
    )


def unpack_snapshot(
    stored: StoredSnapshot, *, identity_file: Path | None = None, database: str | None = None
) -> Iterator[bytes]:
    """
    The bytes of the snapshot in it. They are believed only at their end, where both hashes of the
    manifest are compared.

    :param identity_file: with the secret key; None for BACKUPS_IDENTITY_FILE.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises InvalidSnapshotError: it is cut off, or was changed.
    :raises StorageError: the storage can't read it.
    """
    chunks, manifest = read_checked(stored, database=database), stored.manifest
    identity = identity_file or conf.identity_file
    unpacked = unpack(chunks, stored.name, identity_file=identity)
    if manifest is not None:
        unpacked = checked(
            unpacked,
            stored.name,
            size=manifest.database_size,
            sha256=manifest.database_sha256,
            what="the snapshot in it",
        )
    return unpacked


def stage_snapshot(
    word: str,
    *,
    staged_by: str,
    identity_file: Path | None = None,
    account: str | None = None,
    accept: Collection[str] = (),
    turn: Turn | None = None,
    database: str | None = None,
) -> PendingRestore:
    """
    Stage a stored snapshot, as ``services.stage_restore`` stages an upload. It can't be deleted
    meanwhile.

    :param word: its id, its name, or ``latest``.
    :raises NotStoredError: there is none.
    :raises BackupError: as ``unpack_snapshot`` and ``services.stage_restore``.
    """
    stored = find_snapshot(word, database=database)
    with in_use(stored, database=database):
        return services.stage_restore(
            unpack_snapshot(stored, identity_file=identity_file, database=database),
            staged_by=staged_by,
            at_least=0 if stored.manifest is None else stored.manifest.database_size,
            account=account,
            accept=accept,
            turn=turn,
            database=database,
        )


# Media files, which go along with a stored snapshot if BACKUPS_MEDIA is on


def restore_media(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    database: str | None = None,
) -> MediaRestored:
    """
    Put the media files of a stored snapshot back into the default storage: those that are missing.

    Equal ones stay as they are, and so do those with another content, unless ``overwrite``. A file
    gets its name only once its SHA-256 is right. If one can't be put back, the others still are:
    ``failed`` says which and why.

    :param word: the snapshot's id, its name, or ``latest``.
    :param by: the name of the key or the user, for the log.
    :param dry_run: change nothing, and say what would be done.
    :raises NotStoredError: there is no such snapshot, or it was stored without media files.
    :raises InvalidSnapshotError: its list is cut off, or was changed.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises StorageError: one of the two storages can't be asked.
    """
    stored = find_snapshot(word, database=database)
    with in_use(stored, database=database):
        restore = MediaRestore(
            get_catalog(database),
            stored,
            identity_file=identity_file or conf.identity_file,
            overwrite=overwrite,
            dry_run=dry_run,
        )
        return restore.run(by=by)


def check_media(stored: StoredSnapshot, *, database: str | None = None) -> list[str]:
    """
    What the storage no longer has of the media files of a stored snapshot: the names of its lists
    and of contents. Needs no secret key, and reads no content.

    :raises InvalidSnapshotError: a list is cut off, or was changed.
    :raises StorageError: the storage can't be asked.
    """
    return tidying.missing(get_catalog(database), stored)


def check_media_storage() -> None:
    """
    Check that the default storage can have the media files. Asks it nothing.

    :raises StorageError: MEDIA_ROOT is not set, or the setting names no storage.
    """
    get_site_files("").check()


def tidy_media(*, database: str | None = None) -> MediaTidied:
    """
    Remove the contents of media files that no stored snapshot needs any more. Needs no secret key.

    :raises BusyError: a backup is storing media files.
    :raises StorageError: the storage can't be listed.
    """
    return tidying.tidy(get_catalog(database), services.get_store(database))
