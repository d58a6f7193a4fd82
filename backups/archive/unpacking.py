"""The snapshot in a stored file, or in any file that holds one: age and zstd are recognised."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from backups.archive.encryption import MAGIC, decrypt
from backups.exceptions import DamagedSnapshotError, StoredFileChangedError, WrongLengthError
from backups.unwrapping import Unwrapped


def unpack(chunks: Iterable[bytes], name: str, *, identity_file: Path | None) -> Iterator[bytes]:
    """
    The bytes of the snapshot. Believe them only once all have come: an error can follow.

    :param name: of the file, for messages.
    :raises IdentityError: it is encrypted, and there is no key that fits.
    :raises InvalidSnapshotError: it is cut off, or was changed.
    """
    first, rest = _with_first_bytes(iter(chunks))
    plain = decrypt(rest, identity_file, name) if first.startswith(MAGIC) else rest
    return iter(Unwrapped(plain, what=name))


def checked(
    chunks: Iterable[bytes], name: str, *, size: int, sha256: str, what: str
) -> Iterator[bytes]:
    """
    Pass the chunks on, and compare them with the manifest at the end.

    :param what: the chunks are, for messages: "the stored file", "the snapshot in it".
    :raises WrongLengthError: there are more or fewer bytes.
    :raises DamagedSnapshotError: they are not the same.
    """
    digest, count = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        count += len(chunk)
        yield chunk
    if count != size:
        raise WrongLengthError(
            f"{name} was changed: {what} has {count:,} bytes, and had {size:,} when it was stored.",
            hint=StoredFileChangedError.hint,
        )
    if digest.hexdigest() != sha256:
        raise DamagedSnapshotError(
            f"{name} was changed: the SHA-256 of {what} is not the one that it was stored with.",
            hint=StoredFileChangedError.hint,
        )


def _with_first_bytes(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= max(map(len, MAGIC)):
            break
    return first, chain([first], chunks)
