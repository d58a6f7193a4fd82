"""The SHA-256 of chunks as they pass."""

import hashlib
import threading
from unittest import mock

import pytest

from backups.sqlite.folder.digest import MOST_WAITING, Digest
from tests.backups.waiting import until

CHUNKS = [bytes([number]) * (number * 1_000) for number in range(1, 100)]


def test_hash_is_that_of_all_chunks_in_order() -> None:
    with Digest() as digest:
        for chunk in CHUNKS:
            digest.update(chunk)
        assert digest.hexdigest() == hashlib.sha256(b"".join(CHUNKS)).hexdigest()


def test_hash_of_nothing_is_that_of_nothing() -> None:
    with Digest() as digest:
        assert digest.hexdigest() == hashlib.sha256().hexdigest()


class SlowHash:
    """Hashes a chunk when it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.hashed: list[bytes] = []

    def update(self, chunk: bytes) -> None:
        self.let.acquire()
        self.hashed.append(chunk)

    def hexdigest(self) -> str:
        return f"{len(self.hashed)} chunks"


def test_chunks_that_wait_are_bounded_and_all_are_waited_for() -> None:
    slow, given = SlowHash(), []

    def give(digest: Digest) -> None:
        for chunk in CHUNKS:
            given.append(chunk)
            digest.update(chunk)
        given.append(digest.hexdigest().encode())

    with mock.patch("hashlib.sha256", return_value=slow), Digest() as digest:
        giver = threading.Thread(target=give, args=(digest,))
        giver.start()
        until(lambda: len(given) == MOST_WAITING + 1)
        assert slow.hashed == []
        slow.let.release()
        until(lambda: len(given) == MOST_WAITING + 2)
        slow.let.release(len(CHUNKS))
        giver.join()
    assert slow.hashed == CHUNKS
    assert given[-1] == f"{len(CHUNKS)} chunks".encode()


def test_thread_ends_with_the_block_also_when_that_fails() -> None:
    before = threading.active_count()

    def break_off() -> None:
        with Digest() as digest:
            digest.update(b"half")
            raise ValueError("broke off")

    with pytest.raises(ValueError, match="broke off"):
        break_off()
    assert threading.active_count() == before


def test_it_is_hashed_in_line_where_the_system_starts_no_thread() -> None:
    refused = RuntimeError("can't start new thread")
    with mock.patch("threading.Thread.start", side_effect=refused), Digest() as digest:
        for chunk in CHUNKS:
            digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(b"".join(CHUNKS)).hexdigest()
