"""The bytes of a stored snapshot: as they are, compared with its manifest, or unpacked."""

from collections.abc import Iterable, Iterator
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

    :raises StorageError: the storage can't read it. This can happen in the middle.
    """
    return get_catalog(database).files.chunks(stored.name, first, last)


def read_checked(stored: StoredSnapshot, *, database: str | None = None) -> Iterator[bytes]:
    """
    All bytes of the stored file. At the end they are compared with the manifest.

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
    The bytes of the database in a stored file. Believe them only once all have come: they are
    compared with both hashes of the manifest at the end.

    :param identity_file: the file with the secret key; None for BACKUPS_IDENTITY_FILE.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises InvalidSnapshotError: it is cut off, or was changed.
    :raises StorageError: the storage can't read it.
    """
    manifest = stored.manifest
    return unpack_received(
        read_checked(stored, database=database),
        stored.name,
        identity_file=identity_file,
        size=None if manifest is None else manifest.database_size,
        sha256=None if manifest is None else manifest.database_sha256,
    )


def unpack_received(
    chunks: Iterable[bytes],
    name: str,
    *,
    identity_file: Path | None = None,
    size: int | None = None,
    sha256: str | None = None,
) -> Iterator[bytes]:
    """
    The bytes of the database in a stored file, wherever its bytes come from. Believe them only once
    all have come: an error can follow.

    :param name: of the stored file, for messages.
    :param identity_file: the file with the secret key; None for BACKUPS_IDENTITY_FILE.
    :param size: of the database, in bytes; ``sha256``: its hash. None if they are not known.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises InvalidSnapshotError: it is cut off, or was changed.
    """
    unpacked = unpack(chunks, name, identity_file=identity_file or conf.identity_file)
    if size is None or sha256 is None:
        return unpacked
    return checked(unpacked, name, size=size, sha256=sha256, what="the snapshot in it")
