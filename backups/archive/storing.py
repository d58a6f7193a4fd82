"""Take a snapshot and store it, packed. The stored file gets its name only once it is whole."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

import django

import backups
from backups import services, signals
from backups.archive import names
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.deletion import being_deleted
from backups.archive.encryption import read_recipient
from backups.archive.in_use import in_use
from backups.archive.manifest import SUFFIX, Manifest, Media
from backups.archive.media.storing import MediaBackup
from backups.archive.packing import Packed
from backups.archive.state import read_state
from backups.archive.storage import StoredFiles, get_files
from backups.archive.unchanged import find_unchanged, settle
from backups.conf import conf
from backups.disk.progress import Progress, counted
from backups.exceptions import BackupError, BusyError, StorageError
from backups.store import BackupStore, Inventory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """The outcome of a backup."""

    snapshot: StoredSnapshot
    is_new: bool  # False: nothing has changed since this one, so nothing was stored


def get_catalog(database: str | None = None) -> Catalog:
    """The stored snapshots of a database. Asks the storage nothing yet."""
    return Catalog(
        get_files(database),
        services.snapshot_prefix(database=database),
        being_deleted=lambda: being_deleted(services.get_store(database)),
    )


def store_snapshot(
    *,
    by: str,
    schedule: str | None = None,
    label: str | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
    expect: Progress = lambda _: None,
) -> Stored:
    """
    Store a snapshot of the database, while others write.

    It goes from the database through zstd and age into the storage, without a temporary file. Two
    that begin at once make two stored snapshots.

    :param by: the name of the key or the user, for the record; ``schedule``: the cron expression.
    :param label: a note of a person. With one, a snapshot is stored even if nothing has changed.
    :param progress: called with the number of bytes of each step. The sum is the database's size.
    :param expect: called with that size before the first step.
    :raises StorageError: the storage failed. Nothing has the name of a snapshot, unless it can't
        be deleted either: then it is whole, and has no manifest.
    :raises RecipientError: an entry of BACKUPS_RECIPIENTS is not a public key.
    :raises BackupError: as ``services.create_snapshot``.
    """
    for each in conf.recipients:
        read_recipient(each)  # before any work
    catalog, source = get_catalog(database), services.get_store(database)
    media = MediaBackup(catalog, source) if conf.media else None
    if media is not None:
        with suppress(BackupError):  # reported after the snapshot: the database goes first
            media.look()
    is_lost = media is not None and bool(read_state(database=database).problems)
    if label is None and not is_lost and (last := find_unchanged(catalog, source, media)):
        logger.info("backup by %s: nothing has changed since %s", by, last.id)
        return Stored(last, is_new=False)
    stored = _store_database(catalog, source, by, schedule, label, progress, expect)
    error = None
    try:
        if media is not None:  # after the manifest: a kill leaves a snapshot without media files
            stored, error = _add_media(catalog, stored, media, database)
    finally:  # also if that is interrupted: the snapshot is stored
        where = catalog.files.where
        logger.info("backup by %s: %s stored in %s, %d bytes", by, stored.name, where, stored.size)
        signals.snapshot_stored.send_robust(sender=None, database=database, stored=stored)
    if error is not None:
        raise StorageError(
            f"{stored.name} is stored, without its media files: {error}", hint=error.hint
        ) from error
    return Stored(stored, is_new=True)


@contextmanager
def settling(database: str | None = None) -> Iterator[None]:
    """
    For a block that stores a snapshot and records that in the database, e.g. in an audit log. If
    nobody else writes meanwhile, the next backup does not take that record for a change.
    """
    source = services.get_store(database)
    has_changed = source.watch_commits()
    catalog = get_catalog(database)
    yield
    with suppress(BackupError):  # the next backup stores the same again
        settle(source, catalog, has_changed)


def _store_database(
    catalog: Catalog,
    source: BackupStore,
    by: str,
    schedule: str | None,
    label: str | None,
    progress: Progress,
    expect: Progress,
) -> StoredSnapshot:
    began = time.monotonic()
    with (
        source.create_snapshot(compact=False, to_store=True) as snapshot,
        _claimed_id(source, catalog, snapshot.taken_at) as snapshot_id,
    ):
        expect(snapshot.size)
        name = names.make_name(
            catalog.prefix, snapshot_id, source.suffix, is_encrypted=bool(conf.recipients)
        )
        packed = Packed(
            counted(snapshot, progress),
            snapshot.size,
            level=conf.compression_level,
            recipients=conf.recipients,
        )
        _create(catalog.files, name, packed)
        manifest = Manifest(
            name=name,
            size=packed.size,
            sha256=packed.sha256,
            database_size=packed.database_size,
            database_sha256=packed.database_sha256,
            taken_at=names.time_of(snapshot_id),  # as its id has it
            seconds=round(time.monotonic() - began, 3),
            method=snapshot.method,
            by=by,
            schedule=schedule,
            label=label,
            site=conf.name,
            release=conf.release,
            software=_software(source),
            recipients=conf.recipients,
            **_inventory(snapshot.inventory),
        )
        _write(catalog, manifest)
    return StoredSnapshot(snapshot_id, name, packed.size, manifest)


def _add_media(
    catalog: Catalog, stored: StoredSnapshot, media: MediaBackup, database: str | None
) -> tuple[StoredSnapshot, BackupError | None]:
    """Store the media files too. If that fails, the snapshot is good without them."""
    failure: BackupError | None = None
    try:
        found = media.store(stored.id)
    except BackupError as error:
        found, failure = Media("", 0, 0, warnings=(str(error),)), error
    try:
        with in_use(stored, database=database):
            manifest = catalog.change(stored, lambda now: replace(now, media=found))
    except StorageError as error:
        return stored, failure or error
    return replace(stored, manifest=manifest), failure


@contextmanager
def _claimed_id(source: BackupStore, catalog: Catalog, taken_at: datetime) -> Iterator[str]:
    """An id that no stored snapshot has or had, nor one that is being stored."""
    names_taken = (name.removesuffix(SUFFIX) for name in catalog.files.taken())
    taken = {names.id_of(catalog.prefix, name) for name in names_taken}
    with ExitStack() as stack:
        for attempt in count(1):
            snapshot_id = names.make_id(taken_at, attempt)
            if snapshot_id in taken:
                continue
            try:
                stack.enter_context(source.lock(f"store {snapshot_id}"))
            except BusyError:
                continue
            break
        yield snapshot_id


def _create(files: StoredFiles, name: str, packed: Packed) -> None:
    with _alone(files, name):
        files.create(name, packed, at_most=packed.at_most)
    _check_arrived(files, name, packed.size)


def _write(catalog: Catalog, manifest: Manifest) -> None:
    """If there is no manifest, there is no snapshot: nobody could tell when it may be deleted."""
    with _alone(catalog.files, manifest.name):
        try:
            catalog.write(manifest)
            size = len(manifest.to_json())
            _check_arrived(catalog.files, manifest.name + SUFFIX, size)
        except StorageError:
            with suppress(StorageError):
                catalog.files.delete(manifest.name)
            raise


def _check_arrived(files: StoredFiles, name: str, sent: int) -> None:
    """:raises StorageError: the storage has more or fewer bytes. The file is removed."""
    if (size := files.size(name)) == sent:
        return
    with suppress(StorageError):  # it must not be taken for the latest one
        files.delete(name)
    raise StorageError(
        f"{files.where}: {name} was sent with {sent:,} bytes, and the storage says that it has"
        f" {'none' if size is None else f'{size:,}'}.",
        hint="Do not rely on this storage. Look at it with manage.py backups list.",
    )


@contextmanager
def _alone(files: StoredFiles, name: str) -> Iterator[None]:
    """Explain a name that was free, that this machine has locked, and that is taken now."""
    try:
        yield
    except FileExistsError as error:
        raise StorageError(
            f"{files.where}: another machine has just stored {name} too.",
            hint="Give each site its own storage, or its own BACKUPS_NAME, and store it again.",
        ) from error


def _software(source: BackupStore) -> dict[str, str]:
    return {
        "django-restorable": backups.__version__,
        "django": django.get_version(),
        "python": ".".join(map(str, sys.version_info[:3])),
        **source.software(),
    }


def _inventory(inventory: Inventory | None) -> dict[str, Any]:
    if inventory is None:
        return {"migrations": (), "rows": {}}
    return {"migrations": inventory.migrations, "rows": dict(inventory.rows)}
