"""What a client's Accept-Encoding asks for, and what it gets."""

import os
import tracemalloc
from collections.abc import Iterator

import pytest
import requests

from backups.api.compression import COMPRESSORS, choose_coding, compress
from tests.backups.codings import CUT_OFF, DECODE


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("zstd", "zstd"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("zstd, gzip", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip; q=0.8, zstd ; q=0.9", "zstd"),
        ("deflate, gzip, br, zstd", "zstd"),  # curl --compressed
        ("deflate, gzip", "gzip"),
        ("gzip, identity;q=0", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0, zstd;q=0", None),
        ("gzip;q=lots", None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("*", None),
        ("gzip, deflate", None),  # httpx, and with it the taskdog command line
        ("gzip, deflate, br, zstd", None),  # browsers
        (requests.utils.DEFAULT_ACCEPT_ENCODING, None),
        ("gzip,deflate", None),
    ],
)
def test_only_who_asks_gets_it_compressed(accepted: str, coding: str | None) -> None:
    assert choose_coding(accepted) == coding


@pytest.mark.parametrize("coding", COMPRESSORS)
@pytest.mark.parametrize("chunks", [[b"SQLite"], [b"a" * 100_000] * 20, [os.urandom(50_000)] * 3])
def test_what_arrives_is_what_was_sent(coding: str, chunks: list[bytes]) -> None:
    pieces = list(compress(chunks, coding))
    assert all(pieces), "an empty piece would end a chunked body"
    assert DECODE[coding](b"".join(pieces)) == b"".join(chunks)


@pytest.mark.parametrize("coding", COMPRESSORS)
def test_stream_that_breaks_off_is_not_whole(coding: str) -> None:
    def breaking_off() -> Iterator[bytes]:
        yield os.urandom(2_000_000)
        raise OSError("the disk")

    sent: list[bytes] = []
    with pytest.raises(OSError, match="the disk"):
        sent.extend(compress(breaking_off(), coding))  # keeps what came before the error
    assert sent
    with pytest.raises(CUT_OFF):
        DECODE[coding](b"".join(sent))


@pytest.mark.proof
@pytest.mark.parametrize("coding", COMPRESSORS)
def test_memory_is_flat_in_the_size(coding: str) -> None:
    chunk = os.urandom(100_000) + bytes(100_000)
    tracemalloc.start()
    try:
        for _ in compress((chunk for _ in range(200)), coding):  # 40 MB
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
