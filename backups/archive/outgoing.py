"""Hand out a stored file as it is, or a part of it."""

from collections.abc import Callable, Iterator
from itertools import chain

from backups import services
from backups.archive.catalog import StoredSnapshot
from backups.archive.storing import get_catalog
from backups.exceptions import StorageError, StoredFileChangedError
from backups.site.outgoing_snapshot import OutgoingSnapshot
from backups.store import Snapshot

METHOD = "stored"  # in the record of downloads


class StoredFile(Snapshot):
    """The bytes of a stored file. To create this opens the file, so that errors come early."""

    method = METHOD

    def __init__(
        self,
        stored: StoredSnapshot,
        read: Callable[[int, int | None], Iterator[bytes]],
        *,
        first: int,
        last: int,
    ) -> None:
        """
        Opens it.

        :param read: returns the bytes between two offsets, both included.
        :raises StoredFileChangedError: it has another length than when it was stored.
        :raises StorageError: the storage can't read it.
        """
        check_length(stored)
        self.name = stored.name
        self.size, self.taken_at = stored.size, stored.taken_at
        self.sha256 = None if stored.manifest is None else stored.manifest.sha256
        self.first, self.last = first, last
        self._source = read(first, last)
        self._chunks = chain([next(self._source, b"")], self._source)

    def __iter__(self) -> Iterator[bytes]:
        """:raises StorageError: the rest can't be read, or is missing."""
        assert self.last is not None
        left = self.last + 1 - self.first
        for chunk in self._chunks:
            if chunk := chunk[:left]:
                left -= len(chunk)
                yield chunk
        if left:
            raise StorageError(f"The last {left:,} bytes of {self.name} are missing.")

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


def check_length(stored: StoredSnapshot) -> None:
    """:raises StoredFileChangedError: it has another length than when it was stored."""
    if stored.manifest is not None and stored.manifest.size != stored.size:
        raise StoredFileChangedError(
            f"{stored.name} has {stored.size:,} bytes, and had {stored.manifest.size:,} when it was"
            " stored."
        )


def open_snapshot(
    stored: StoredSnapshot,
    *,
    taken_by: str,
    address: str | None,
    first: int = 0,
    last: int | None = None,
    database: str | None = None,
) -> Snapshot:
    """
    Hand the stored file out as it is, from ``first`` to ``last``, both included. It has been
    opened when this returns. Who takes it is recorded beside the database.

    :param taken_by: the name of the key or the user; ``address``: where the request came from.
    :raises StoredFileChangedError: it has another length than when it was stored.
    :raises StorageError: the storage can't read it.
    """
    return OutgoingSnapshot(
        StoredFile(
            stored,
            lambda begin, end: get_catalog(database).files.chunks(stored.name, begin, end),
            first=first,
            last=stored.size - 1 if last is None else last,
        ),
        taken_by=taken_by,
        address=address,
        record=services.get_store(database).record_download,
        is_announced=False,  # a row in the database would count as a change to store
    )
