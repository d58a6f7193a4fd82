"""The bytes of a stored snapshot: as they are, compared with its manifest, or unpacked."""

from collections.abc import Iterator
from pathlib import Path

from backups.archive.catalog import StoredSnapshot
from backups.archive.storing import get_catalog
from backups.archive.unpacking import checked, unpack
from backups.conf import conf


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
