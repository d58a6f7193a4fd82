"""The SHA-256 of a snapshot, computed while it is sent."""

import hashlib
import os
from collections.abc import Callable

from backups.sqlite.snapshots.page_reader import Piece

HASH_BYTES = 1024 * 1024  # 1 MiB at a time: about a millisecond


class SentDigest:
    """The SHA-256 of the first ``hashed`` bytes of a snapshot."""

    def __init__(self) -> None:
        self.hashed = 0
        self._sha256 = hashlib.sha256()
        self._buffer = memoryview(bytearray(HASH_BYTES))

    @property
    def hexadecimal(self) -> str:
        """The digest of those bytes, as 64 hex digits."""
        return self._sha256.hexdigest()

    def add(self, source: Callable[[int], Piece], until: int) -> None:
        """
        Hash the next contiguous bytes, at most up to the offset ``until``.

        :param source: returns where the bytes from an offset on are.
        :raises OSError: they can't be read.
        """
        file, position, length = source(self.hashed)
        wanted = min(length, until - self.hashed, HASH_BYTES)
        count = os.preadv(file, [self._buffer[:wanted]], position)
        if not count:
            raise OSError("a file became shorter while it was read")
        self._sha256.update(self._buffer[:count])
        self.hashed += count
