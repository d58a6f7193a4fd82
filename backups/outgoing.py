"""A snapshot on its way out: its signal is sent after its first bytes, not before."""

import logging
from collections.abc import Iterator

from backups import signals
from backups.store import PassedOn, Snapshot

logger = logging.getLogger(__name__)

FIRST_BYTES = 4096  # at most: nobody has a whole snapshot before its receivers have run


class OutgoingSnapshot(PassedOn):
    """
    Hands out another snapshot, and tells ``snapshot_taken`` of it after the first bytes.

    A receiver may have to wait for a writer, e.g. to add a row to an audit log. The client has
    its first byte by then; the last one comes after every receiver has run.
    """

    def __init__(self, snapshot: Snapshot, *, taken_by: str | None) -> None:
        """Takes over the snapshot."""
        super().__init__(snapshot)
        self._taken_by = taken_by
        self._left = self._all = _length(snapshot)

    def __iter__(self) -> Iterator[bytes]:
        if not self._all:
            return
        chunks = iter(self._snapshot)
        first = next(chunks)
        some = min(FIRST_BYTES, len(first) // 2)
        yield first[:some]
        self._tell()
        self._left -= len(first)
        yield first[some:]
        for chunk in chunks:
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        if 0 < self._left < self._all:
            logger.warning(
                "the snapshot taken by %s was cut off: the last %d of its %d bytes were not sent",
                self._taken_by or "this process",
                self._left,
                self._all,
            )
            self._left = 0  # told once
        self._snapshot.close()

    def _tell(self) -> None:
        signals.snapshot_taken.send_robust(
            sender=None,
            size=self.size,
            method=self.method,
            taken_at=self.taken_at,
            taken_by=self._taken_by,
        )


def _length(snapshot: Snapshot) -> int:
    """How many bytes iterating gives."""
    last = snapshot.size - 1 if snapshot.last is None else snapshot.last
    return last + 1 - snapshot.first
