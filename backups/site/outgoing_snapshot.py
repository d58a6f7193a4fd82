"""A snapshot that is handed out: record who takes it, after its first bytes and at its end."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from backups import signals
from backups.store import Download, PassedOn, Snapshot

logger = logging.getLogger(__name__)

FIRST_BYTES = 4096  # at most: nobody has a whole snapshot before the receivers have run


class OutgoingSnapshot(PassedOn):
    """
    Hands out another snapshot, and sends ``snapshot_taken`` after its first bytes. Just before
    that, it records that a download has begun; when it is closed, how the download ended.

    A receiver may have to wait for a writer, e.g. to add a row to an audit log. By then the client
    has the first byte; the last one comes after every receiver has run.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        taken_by: str | None,
        address: str | None = None,
        record: Callable[[Download], None] = lambda _: None,
        is_announced: bool = True,
    ) -> None:
        """
        Takes over the snapshot.

        :param address: where the request came from; None for this machine.
        :param record: records what is known of the download, when it begins and when it ends.
        :param is_announced: whether ``snapshot_taken`` is sent.
        """
        super().__init__(snapshot)
        self._is_announced = is_announced
        self._taken_by, self._address, self._record = taken_by, address, record
        self._download: Download | None = None  # once it has begun
        last = snapshot.size - 1 if snapshot.last is None else snapshot.last
        self._left = self._all = last + 1 - snapshot.first

    def __iter__(self) -> Iterator[bytes]:
        if not self._all:
            return
        chunks = iter(self._snapshot)
        first = next(chunks)
        some = min(FIRST_BYTES, len(first) // 2)
        yield first[:some]
        self._begin()
        if self._is_announced:
            self._send_signal()
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
        try:
            self._end()
        finally:
            self._snapshot.close()

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._download = Download(
            id=str(uuid.uuid4()),
            at=datetime.now(UTC),
            outcome="begun",
            by=self._taken_by,
            address=self._address,
            method=self.method,
            size=self.size,
            first=self.first,
        )
        self._record(self._download)

    def _end(self) -> None:
        """Record the end, once. The SHA-256 is that of the whole, even for a part."""
        if self._download is not None:
            ended = replace(
                self._download,
                outcome="broken off" if self._left else "whole",
                sent=self._all - self._left,
                sha256=self.sha256,
                seconds=round(time.monotonic() - self._began, 3),
            )
            self._download, self._left = None, 0
            self._record(ended)

    def _send_signal(self) -> None:
        signals.snapshot_taken.send_robust(
            sender=None,
            size=self.size,
            method=self.method,
            taken_at=self.taken_at,
            taken_by=self._taken_by,
        )
