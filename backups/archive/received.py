"""The snapshot in a stored file that comes from a server, and not from the storage."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from backups.archive.unpacking import checked, unpack
from backups.conf import conf


def unpack_received(
    chunks: Iterable[bytes],
    name: str,
    *,
    identity_file: Path | None = None,
    size: int | None = None,
    sha256: str | None = None,
) -> Iterator[bytes]:
    """
    The bytes of the snapshot. Believe them only once all have come: an error can follow.

    :param name: of the stored file.
    :param identity_file: with the secret key; None for BACKUPS_IDENTITY_FILE.
    :param size: of the snapshot; ``sha256``: of it. None where they are not known.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises InvalidSnapshotError: it is cut off, or was changed.
    """
    unpacked = unpack(chunks, name, identity_file=identity_file or conf.identity_file)
    if size is None or sha256 is None:
        return unpacked
    return checked(unpacked, name, size=size, sha256=sha256, what="the snapshot in it")
