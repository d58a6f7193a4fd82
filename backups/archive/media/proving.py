"""Read the media files of a stored snapshot back, as a restore would, and write nothing."""

from collections.abc import Iterator
from pathlib import Path

from backups.archive.catalog import StoredSnapshot
from backups.archive.media.contents import AT_ONCE, Contents
from backups.archive.media.lists import Entry, MediaLists
from backups.archive.media.parallel import side_by_side
from backups.archive.storing import get_catalog
from backups.exceptions import BackupError, DamagedSnapshotError


def prove_media(
    stored: StoredSnapshot, *, identity_file: Path | None, database: str | None = None
) -> list[str]:
    """
    Read each content that a stored snapshot needs, and compare it with its SHA-256.

    :returns: a sentence for each content that can't be put back; empty if all can.
    :raises InvalidSnapshotError: the list is cut off, or was changed.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises StorageError: the list can't be read.
    """
    if not stored.media_list:
        return []
    catalog = get_catalog(database)
    contents = Contents(catalog.files, catalog.prefix)

    def read(entry: Entry) -> str:
        try:
            _read(contents, entry, identity_file)
        except BackupError as error:
            return f"{entry.name}: {error}"
        return ""

    entries = MediaLists(catalog.files, catalog.prefix).entries(stored.media_list, identity_file)
    return list(filter(None, side_by_side(read, _once(entries), at_once=AT_ONCE)))


def _read(contents: Contents, entry: Entry, identity_file: Path | None) -> None:
    if not contents.is_name(entry.content):
        raise DamagedSnapshotError(f"{entry.content[:200]!r} is not the name of a stored content.")
    for _ in contents.read(
        entry.content, size=entry.size, sha256=entry.sha256, identity_file=identity_file
    ):
        pass


def _once(entries: Iterator[Entry]) -> Iterator[Entry]:
    """The first file of each content."""
    seen = set[bytes]()
    for entry in entries:
        if (key := bytes.fromhex(entry.sha256)) not in seen:
            seen.add(key)
            yield entry
