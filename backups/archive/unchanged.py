"""Whether anything has changed since the last snapshot was stored."""

import hashlib
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime

from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.media.storing import MediaBackup
from backups.conf import conf
from backups.exceptions import NotStoredError, StorageError
from backups.store import BackupStore

SETTLED = "settled"  # in what the store remembers: the hash after our own rows of the audit log


def settle(source: BackupStore, catalog: Catalog, has_changed: Callable[[], bool]) -> None:
    """
    Remember that the last stored snapshot has all there is now, unless somebody has changed it.

    :raises BackupError: it can't be found out, or not be remembered.
    """
    if not conf.skip_unchanged or has_changed():
        return
    last = _last(catalog)
    if last is None or last.manifest is None or _is_ahead(last):
        return
    size, sha256 = _hash(source)
    if not has_changed():
        with source.remember() as state:
            state[SETTLED] = {"id": last.id, "size": size, "sha256": sha256}


def find_unchanged(
    catalog: Catalog, source: BackupStore, media: MediaBackup | None
) -> StoredSnapshot | None:
    """The last stored snapshot, if there is the same content now, and it is sound."""
    with suppress(StorageError):  # what can't be read is no reason to store nothing
        return _last_if_same(catalog, source, media) if conf.skip_unchanged else None
    return None


def _last_if_same(
    catalog: Catalog, source: BackupStore, media: MediaBackup | None
) -> StoredSnapshot | None:
    if (last := _last(catalog)) is None or _is_ahead(last):
        return None
    manifest = last.manifest
    if manifest is None or last.problem or manifest.recipients != conf.recipients:
        return None
    found = manifest.verification
    if found is not None and (found.outcome == "damaged" or found.lost_media):
        return None
    if media is not None and not media.is_as_in(last):
        return None
    settled = source.recall().get(SETTLED)
    known = [(manifest.database_size, manifest.database_sha256)]
    if isinstance(settled, dict) and settled.get("id") == last.id:
        known.append((settled.get("size", 0), settled.get("sha256", "")))
    return last if _hash(source, of=[size for size, _ in known]) in known else None


def _is_ahead(stored: StoredSnapshot) -> bool:
    """Whether the clock was ahead when it was stored: nobody knows what has changed since."""
    return stored.taken_at > datetime.now(UTC)


def _hash(source: BackupStore, *, of: Collection[int] = ()) -> tuple[int, str]:
    """The size and SHA-256 of a snapshot of now; no SHA-256 if it has another size than these."""
    digest = hashlib.sha256()
    with source.create_snapshot(compact=False) as snapshot:
        if of and snapshot.size not in of:
            return snapshot.size, ""
        for chunk in snapshot:
            digest.update(chunk)
    return snapshot.size, digest.hexdigest()


def _last(catalog: Catalog) -> StoredSnapshot | None:
    with suppress(NotStoredError):
        return catalog.find("latest")
    return None
