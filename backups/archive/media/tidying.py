"""
Remove the contents that no stored snapshot needs any more, without a secret key.

A stored snapshot keeps its lists, and its lists keep their contents. The lock ``media`` is held
meanwhile. A backup holds it too, from its look at what is stored until its own list is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from backups import services
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.media.contents import Contents, key_of
from backups.archive.media.lists import MediaLists
from backups.archive.media.storing import LOCK
from backups.archive.storing import get_catalog
from backups.exceptions import BackupError, DamagedSnapshotError, StorageError

MOST_REFUSED = 20  # after so many the storage is not asked to delete any more


@dataclass(frozen=True)
class MediaTidied:
    """What was removed, and what could not be removed."""

    removed: int = 0  # contents
    refused: int = 0  # contents that the storage refused to delete
    reason: str = ""  # a sentence; empty if nothing went wrong


def tidy_media(*, database: str | None = None) -> MediaTidied:
    """
    Remove the lists of snapshots that are gone, then the contents that no list names. Needs no
    secret key.

    If the list of a snapshot can't be read, nothing is removed.

    :raises BusyError: a backup is moving media files.
    :raises StorageError: the storage can't be listed.
    """
    catalog, source = get_catalog(database), services.get_store(database)
    files = catalog.files
    lists, contents = MediaLists(files, catalog.prefix), Contents(files, catalog.prefix)
    with source.lock(LOCK):
        snapshots = catalog.snapshots()
        sizes = files.sizes()
        stored = {each.id for each in snapshots}
        listed = {name: snapshot_id for name in sizes if (snapshot_id := lists.id_of(name))}
        for each in snapshots:
            if each.media_list and each.id not in listed.values():
                return MediaTidied(reason=f"Nothing was removed: the lists of {each.id} are gone.")
        try:
            used = _used(lists, {each for each in listed.values() if each in stored}, contents)
        except BackupError as error:
            return MediaTidied(reason=f"Nothing was removed: {error}")
        gone = [name for name, snapshot_id in listed.items() if snapshot_id not in stored]
        _, refused, reason = _delete(catalog, gone)
        if refused:
            return MediaTidied(0, refused, reason)
        unused = sorted(contents.stored() - used)
        return MediaTidied(*_delete(catalog, map(contents.name_of_key, unused)))


def check_media(stored: StoredSnapshot, *, database: str | None = None) -> list[str]:
    """
    The names of the lists and the contents that a stored snapshot needs for its media files, and
    that the storage no longer has. Needs no secret key, and reads no content.

    :raises InvalidSnapshotError: a list is cut off, or was changed.
    :raises StorageError: the storage fails.
    """
    if not stored.media_list:
        return []
    catalog = get_catalog(database)
    lists = MediaLists(catalog.files, catalog.prefix)
    needed = {stored.media_list, lists.contents_name(stored.id)}
    if gone := sorted(needed - set(catalog.files.sizes())):
        return gone
    contents = Contents(catalog.files, catalog.prefix)
    return sorted(
        map(contents.name_of_key, _used(lists, [stored.id], contents) - contents.stored())
    )


def _used(lists: MediaLists, snapshot_ids: Iterable[str], contents: Contents) -> set[bytes]:
    """The keys of all contents that these snapshots need."""
    used = set()
    for snapshot_id in snapshot_ids:
        for name in lists.contents(snapshot_id):
            if not contents.is_name(name):
                raise DamagedSnapshotError(
                    f"A list of {snapshot_id} names {name[:200]!r}, which is not a stored content."
                )
            used.add(key_of(name))
    return used


def _delete(catalog: Catalog, unused: Iterable[str]) -> tuple[int, int, str]:
    removed, refused, reason = 0, 0, ""
    for name in unused:
        try:
            catalog.files.delete(name)
            removed += 1
        except StorageError as error:
            refused, reason = refused + 1, str(error)
            if refused >= MOST_REFUSED:
                break
    return removed, refused, reason
