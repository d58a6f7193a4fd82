"""What is done to a file while a child checks it."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.checking.meanwhile import synced_and_hashed
from backups.sqlite.checking.messages import tell_settled

CONTENT = b"as it came"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "incoming"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("is_known", "changed", "is_hashed"),
    [(True, True, True), (True, False, False), (False, True, True), (False, False, True)],
)
def test_file_is_hashed_unless_its_hash_is_known_and_it_is_not_changed(
    path: Path, descriptor: int, *, is_known: bool, changed: bool, is_hashed: bool
) -> None:
    with synced_and_hashed(descriptor, path, is_known=is_known) as (tell, hashed):
        tell_settled(tell, changed=changed)
    assert hashed.result() == (files.sha256(path) if is_hashed else None)


def test_hash_is_of_the_file_as_it_was_when_that_was_told(path: Path, descriptor: int) -> None:
    with synced_and_hashed(descriptor, path, is_known=True) as (tell, hashed):
        os.pwrite(descriptor, b"AS", 0)
        tell_settled(tell, changed=True)
    assert path.read_bytes() == b"AS it came"
    assert hashed.result() == files.sha256(path)


def test_child_that_says_nothing_leaves_no_hash_and_nobody_waiting(
    path: Path, descriptor: int
) -> None:
    before = os.listdir("/proc/self/fd")
    with synced_and_hashed(descriptor, path, is_known=False) as (_, hashed):
        pass
    assert hashed.result() is None
    assert os.listdir("/proc/self/fd") == before


def test_sync_that_fails_is_not_forgotten(path: Path, descriptor: int) -> None:
    with (
        mock.patch.object(files, "sync", side_effect=OSError(errno.EIO, "it failed")),
        synced_and_hashed(descriptor, path, is_known=True) as (tell, hashed),
    ):
        tell_settled(tell, changed=False)
    with pytest.raises(OSError, match="it failed"):
        hashed.result()


def test_nobody_is_told_where_nobody_waits(path: Path) -> None:
    tell_settled(-1, changed=True)
    assert path.read_bytes() == CONTENT


def test_check_that_fails_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(TimeoutError), synced_and_hashed(file.fileno(), path, is_known=True):
            raise TimeoutError
        assert set(os.listdir("/proc/self/fd")) == before


def test_child_that_outlives_its_check_keeps_nobody_waiting(path: Path, descriptor: int) -> None:
    with synced_and_hashed(descriptor, path, is_known=False) as (tell, hashed):
        held = os.dup(tell)
    assert hashed.result() is None
    tell_settled(held, changed=True)
    os.close(held)
