"""What others hear of a snapshot, and when."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from backups import signals
from backups.site import outgoing_snapshot
from backups.site.outgoing_snapshot import FIRST_BYTES, OutgoingSnapshot
from backups.store import Snapshot

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)


class Given(Snapshot):
    """A snapshot of these chunks."""

    method = "pages"
    taken_at = AT

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.size = sum(map(len, chunks))
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


@contextmanager
def heard() -> Iterator[list[dict[str, Any]]]:
    """What ``snapshot_taken`` tells meanwhile."""
    told: list[dict[str, Any]] = []

    def listen(*, sender: object, signal: object, **about: Any) -> None:
        told.append(about)

    signals.snapshot_taken.connect(listen)
    try:
        yield told
    finally:
        signals.snapshot_taken.disconnect(listen)


@pytest.mark.parametrize("sizes", [(2,), (512,), (4096,), (10_000,), (10_000, 10_000, 3)])
def test_others_hear_after_the_first_bytes_and_before_the_last(sizes: tuple[int, ...]) -> None:
    given = Given(*(bytes([number]) * size for number, size in enumerate(sizes)))
    with heard() as told:
        pieces = iter(OutgoingSnapshot(given, taken_by="laptop"))
        received = next(pieces)
        assert 0 < len(received) <= FIRST_BYTES
        assert not told
        received += next(pieces)
        assert told == [
            {"size": given.size, "method": "pages", "taken_at": AT, "taken_by": "laptop"}
        ]
        rest = list(pieces)
        assert received + b"".join(rest) == b"".join(given.chunks)
        assert all(rest), "an empty piece would end a chunked body"
        assert len(told) == 1


def test_snapshot_that_nobody_reads_is_not_told() -> None:
    with heard() as told:
        OutgoingSnapshot(given := Given(b"12345"), taken_by=None).close()
    assert not told
    assert given.closed == 1


def test_receiver_that_fails_does_not_end_the_download() -> None:
    def fail(**_: object) -> None:
        raise ValueError("a receiver of the site")

    signals.snapshot_taken.connect(fail)
    try:
        assert b"".join(OutgoingSnapshot(Given(b"1234", b"5"), taken_by=None)) == b"12345"
    finally:
        signals.snapshot_taken.disconnect(fail)


def test_download_that_is_cut_off_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    snapshot = OutgoingSnapshot(given := Given(b"1234", b"56", b"789"), taken_by="laptop")
    pieces = iter(snapshot)
    with caplog.at_level(logging.WARNING, "backups.site.outgoing_snapshot"):
        next(pieces), next(pieces), next(pieces)
        snapshot.close()
        snapshot.close()
    assert said(caplog) == [
        "the snapshot taken by laptop was cut off: the last 3 of its 9 bytes were not sent"
    ]
    assert given.closed == 2


def test_whole_download_is_not_logged_as_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, "backups.site.outgoing_snapshot"),
        OutgoingSnapshot(Given(b"1234", b"56"), taken_by=None) as snapshot,
    ):
        list(snapshot)
    assert said(caplog) == []


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the module has logged."""
    ours = (record for record in caplog.records if record.name == outgoing_snapshot.__name__)
    return [record.getMessage() for record in ours]
