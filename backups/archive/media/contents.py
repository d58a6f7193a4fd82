"""
The contents of media files in the storage of the backups, each once, under a name made of its hash.

    taskdog-backup-media/<two digits>/<64 digits>.zst        the SHA-256 of the content
    taskdog-backup-media/<two digits>/<64 digits>.zst.age    a keyed hash of it

They are zstd, or age around zstd. If they are encrypted, a plain SHA-256 in the name would tell
whoever sees the storage which known files are in it. So that hash is keyed, with the site's
SECRET_KEY and the recipients. New recipients get contents of their own, so that each snapshot can
be read with the keys of its time. After a change of SECRET_KEY all contents are stored once more.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.utils.crypto import salted_hmac

from backups.archive.packing import Packed
from backups.archive.storage import StoredFiles
from backups.archive.unpacking import checked, unpack

AT_ONCE = 8  # files that are moved at the same time: a storage far away answers slowly
HASH_BYTES = 32
NAME = r"([0-9a-f]{2})/\1[0-9a-f]{62}\.zst(?:\.age)?"


class Contents:
    """The stored contents of one site."""

    def __init__(
        self, files: StoredFiles, prefix: str, *, recipients: Sequence[str] = (), level: int = 3
    ) -> None:
        """
        Asks the storage nothing yet.

        :param prefix: what the names of the site's stored files begin with: ``taskdog-backup-``.
        :param recipients: whom new contents are encrypted to; none to leave them unencrypted.
        """
        self._files, self._recipients, self._level = files, recipients, level
        self.folder = f"{prefix}media"

    def name_of(self, sha256: str) -> str:
        """Where the content with this hash is stored, or would be."""
        if self._recipients:
            key = " ".join(["backups.media", *sorted(self._recipients)])
            sha256 = salted_hmac(key, sha256, algorithm="sha256").hexdigest()
        return f"{self.folder}/{sha256[:2]}/{sha256}.zst{'.age' * bool(self._recipients)}"

    def is_name(self, name: str) -> bool:
        """Whether a content can be stored under this name."""
        folder, _, rest = name.partition("/")
        return folder == self.folder and re.fullmatch(NAME, rest, re.ASCII) is not None

    def stored(self) -> set[bytes]:
        """The keys of all stored contents. :raises StorageError: the storage fails."""
        folders, _ = self._files.listed(self.folder)
        inner = [f"{self.folder}/{each.strip('/')}" for each in folders]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda folder: (folder, self._files.listed(folder)[1]), inner)
            names = (f"{folder}/{name}" for folder, names in found for name in names)
            return {key_of(name) for name in names if self.is_name(name)}

    def name_of_key(self, key: bytes) -> str:
        """The name that ``key_of`` turned into this key."""
        digits = key[:HASH_BYTES].hex()
        return f"{self.folder}/{digits[:2]}/{digits}{key[HASH_BYTES:].decode()}"

    def create(self, name: str, chunks: Iterable[bytes], size: int) -> None:
        """
        Store a content. It has its name only once all chunks have come.

        :raises FileExistsError: it is stored already.
        :raises StorageError: the storage failed.
        """
        packed = Packed(chunks, size, level=self._level, recipients=self._recipients)
        self._files.create(name, packed, at_most=packed.at_most)

    def read(
        self, name: str, *, size: int, sha256: str, identity_file: Path | None
    ) -> Iterator[bytes]:
        """
        A content. Believe it only once all of it has come.

        :raises InvalidSnapshotError: it is cut off, or was changed.
        :raises IdentityError: it is encrypted, and there is no key that fits.
        :raises StorageError: the storage can't read it.
        """
        unpacked = unpack(self._files.chunks(name), name, identity_file=identity_file)
        bounded = _bounded(unpacked, size)
        return checked(bounded, name, size=size, sha256=sha256, what="the media file in it")

    def delete(self, name: str) -> None:
        """Remove a content. :raises StorageError: the storage refuses."""
        self._files.delete(name)


def key_of(name: str) -> bytes:
    """A name in a third of the memory: there may be very many contents."""
    digits, _, ending = name.rpartition("/")[2].partition(".")
    return bytes.fromhex(digits) + f".{ending}".encode()


def _bounded(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The chunks up to one too many: a file that is too long must not fill the disk."""
    for chunk in chunks:
        yield chunk
        size -= len(chunk)
        if size < 0:
            return
