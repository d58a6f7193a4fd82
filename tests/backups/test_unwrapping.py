import gzip
import random
import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from backups.exceptions import BackupError, DamagedSnapshotError, WrongLengthError
from backups.unwrapping import STEP_BYTES, Unwrapped
from tests.backups.stores import chunks

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = random.Random(1).randbytes(100_000) * 40
CODINGS = {"gzip": gzip.compress(CONTENT, 1), "zstd": zstd.compress(CONTENT)}
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00\x00\x00\x01\x00"  # as pzstd begins


@pytest.fixture(params=CODINGS)
def coding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(content: bytes, size: int = 4096) -> bytes:
    return b"".join(Unwrapped(chunks(content, size)))


@pytest.mark.parametrize("size", [1000, 65536, 10**8])
def test_what_comes_compressed_is_unpacked(coding: str, size: int) -> None:
    unwrapped = Unwrapped(chunks(CODINGS[coding], size))
    assert b"".join(unwrapped) == CONTENT
    assert unwrapped.wrapping == coding


def test_first_bytes_may_come_one_at_a_time(coding: str) -> None:
    packed = gzip.compress(b"few") if coding == "gzip" else zstd.compress(b"few")
    assert read(packed, 1) == b"few"


@pytest.mark.parametrize("content", [b"", b"\x1f", b"SQLite format 3\x00" + bytes(5000)])
def test_what_is_not_compressed_passes_as_it_is(content: bytes) -> None:
    unwrapped = Unwrapped(chunks(content))
    assert b"".join(unwrapped) == content
    assert unwrapped.wrapping == ""


def test_several_streams_in_a_row_are_one(coding: str) -> None:
    """As ``pigz``, ``pzstd`` and ``cat`` make them, however they are cut."""
    for size in (999, 10**8):
        assert read(CODINGS[coding] * 2, size) == CONTENT * 2


def test_frame_that_says_nothing_is_skipped_and_zeros_at_the_end_are_no_stream() -> None:
    assert read(SKIPPABLE + CODINGS["zstd"] + SKIPPABLE) == CONTENT
    for split in range(1, len(SKIPPABLE)):
        content = CODINGS["zstd"] + SKIPPABLE[:split], SKIPPABLE[split:] + CODINGS["zstd"]
        assert b"".join(Unwrapped(content)) == CONTENT * 2
    assert read(CODINGS["gzip"] + bytes(5000)) == CONTENT


@pytest.mark.parametrize("missing", [1, 4, 8, 1000])
def test_stream_that_is_cut_off_is_not_whole(coding: str, missing: int) -> None:
    with pytest.raises(WrongLengthError, match=f"cut off: its {coding} stream"):
        read(CODINGS[coding][:-missing])


@pytest.mark.parametrize("rest", [b"x", b"garbage after the end"])
def test_what_follows_a_stream_is_told(coding: str, rest: bytes) -> None:
    for size in (len(CODINGS[coding]), 10**8):
        with pytest.raises(WrongLengthError, match=f"something follows its {coding} stream"):
            read(CODINGS[coding] + rest, size)


def test_stream_that_is_damaged_is_told_with_one_full_stop(coding: str) -> None:
    damaged = bytearray(CODINGS[coding])
    damaged[len(damaged) // 2] ^= 0xFF
    damaged[-5] ^= 0xFF
    with pytest.raises((DamagedSnapshotError, WrongLengthError)) as error:
        read(bytes(damaged))
    assert isinstance(error.value, BackupError)
    assert not str(error.value).endswith("..")


def test_memory_does_not_grow_with_what_a_few_bytes_become(coding: str) -> None:
    zeros = bytes(64 * 1024**2)
    bomb = gzip.compress(zeros, 9) if coding == "gzip" else zstd.compress(zeros, 19)
    del zeros
    tracemalloc.start()
    try:
        largest = max(map(len, Unwrapped(iter([bomb]))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert largest <= STEP_BYTES
    assert peak < 8 * STEP_BYTES


def test_nothing_more_is_unpacked_for_a_reader_who_stops(coding: str) -> None:
    taken = []

    def arriving() -> Iterator[bytes]:
        for chunk in chunks(CODINGS[coding] * 3, 500):
            taken.append(chunk)
            yield chunk

    next(iter(Unwrapped(arriving())))
    assert len(taken) * 500 < len(CODINGS[coding]) * 2
