"""An upload through a pipe: whole, cut off at any byte, or to a reader that is gone."""

import os
import threading
from contextlib import suppress

import pytest

from backups.archive.feeding import PIECE_BYTES, feed, received
from backups.exceptions import UploadInterruptedError


def through(*chunks: bytes) -> bytes:
    outlet, inlet = os.pipe()
    feeder = threading.Thread(target=feed, args=(os.fdopen(inlet, "wb", 0), chunks))
    feeder.start()
    try:
        return b"".join(received(lambda: None, descriptor=outlet))
    finally:
        os.close(outlet)
        feeder.join()


@pytest.mark.parametrize(
    "chunks", [(), (b"",), (b"a", b"", b"b"), (bytes(3 * PIECE_BYTES + 1),), (b"x",) * 1000]
)
def test_what_is_fed_is_received(chunks: tuple[bytes, ...]) -> None:
    assert through(*chunks) == b"".join(chunks)


@pytest.mark.parametrize("length", range(13))
def test_upload_that_is_cut_off_at_any_byte_is_not_whole(length: int) -> None:
    whole = b"\0\0\0\5hello\0\0\0\0"
    outlet, inlet = os.pipe()
    os.write(inlet, whole[:length])
    os.close(inlet)
    try:
        with pytest.raises(UploadInterruptedError):
            list(received(lambda: None, descriptor=outlet))
    finally:
        os.close(outlet)


def test_piece_that_is_too_long_is_no_upload() -> None:
    outlet, inlet = os.pipe()
    os.write(inlet, b"\xff\xff\xff\xff")
    try:
        with pytest.raises(UploadInterruptedError):
            list(received(lambda: None, descriptor=outlet))
    finally:
        os.close(inlet)
        os.close(outlet)


def test_reader_that_is_gone_ends_the_feeding() -> None:
    outlet, inlet = os.pipe()
    os.close(outlet)
    asked = 0

    def endless() -> object:
        nonlocal asked
        while True:
            asked += 1
            yield b"x"

    assert feed(os.fdopen(inlet, "wb", 0), endless()) is False  # type: ignore[arg-type]
    assert asked == 1


def test_it_looks_while_nothing_comes() -> None:
    outlet, inlet = os.pipe()
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise InterruptedError

    with suppress(InterruptedError):
        list(received(look, descriptor=outlet))
    assert looks == 3
    os.close(inlet)
    os.close(outlet)
