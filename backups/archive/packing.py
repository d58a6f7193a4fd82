"""A snapshot as it is stored: packed by zstd, then encrypted by age if there are recipients."""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence

from backups.archive.encryption import encrypt

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# zstd works in two threads of its own, while this one reads and hashes: two cores are worth it.
# Pieces of its default size, 8 MiB, would take 60 MB of memory; these take 10, and 4 % more room.
WORKERS = 2
JOB_BYTES = 1024**2
STEP_BYTES = 256 * 1024  # what goes on at a time, at least, but for the end


class Packed:
    """The packed bytes of a snapshot, to be read once. Both sides are counted and hashed."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        size: int | None,
        *,
        level: int,
        recipients: Sequence[str] = (),
    ) -> None:
        """
        Reads nothing yet.

        :param size: of the snapshot, in bytes, which zstd writes into its header; None if it is
            not known.
        :param level: of zstd, 1 to 22.
        :param recipients: public keys; none to store it unencrypted.
        """
        self._chunks, self._recipients = chunks, recipients
        self._compressor = zstd.ZstdCompressor(
            options={
                zstd.CompressionParameter.compression_level: level,
                zstd.CompressionParameter.checksum_flag: 1,
                zstd.CompressionParameter.nb_workers: WORKERS,
                zstd.CompressionParameter.job_size: JOB_BYTES,
            }
        )
        if size is not None:
            self._compressor.set_pledged_input_size(size)
        # What can't be compressed grows: by 1/256 at most in zstd, by 1/4096 in age.
        self.at_most = 0 if size is None else size + size // 128 + STEP_BYTES
        self._before, self._after = hashlib.sha256(), hashlib.sha256()
        self.database_size = 0  # bytes that were read
        self.size = 0  # bytes that came out

    def __iter__(self) -> Iterator[bytes]:
        """In chunks of bounded size. Raises what the snapshot and ``encrypt`` raise."""
        packed = self._compressed()
        for chunk in encrypt(packed, self._recipients) if self._recipients else packed:
            self._after.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def database_sha256(self) -> str:
        """Of what was read."""
        return self._before.hexdigest()

    @property
    def sha256(self) -> str:
        """Of what came out."""
        return self._after.hexdigest()

    def _compressed(self) -> Iterator[bytes]:
        ready = bytearray()
        for chunk in self._chunks:
            self._before.update(chunk)
            self.database_size += len(chunk)
            ready += self._compressor.compress(chunk)
            if len(ready) >= STEP_BYTES:
                yield bytes(ready)
                ready.clear()
        ready += self._compressor.flush()
        yield bytes(ready)
