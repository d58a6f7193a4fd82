"""The bytes of an upload as they arrive."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from backups import exceptions
from backups.disk import files, room
from backups.exceptions import NotEnoughSpaceError
from tests.backups.stores import Store, new_snapshot


def test_upload_over_the_limit_stops_reading(store: Store) -> None:
    before = store.folder()
    taken = 0

    def upload() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 1000

    with pytest.raises(exceptions.SnapshotTooLargeError, match="10,000 bytes"):
        store.stage_chunks(upload(), max_bytes=10_000)
    assert taken == 11
    assert store.folder() == before


@pytest.mark.parametrize(
    ("at_least", "error"),
    [
        (64 * 1024**2 + 1, exceptions.SnapshotTooLargeError),
        (20_000, exceptions.NotEnoughSpaceError),
    ],
)
def test_what_cannot_fit_is_refused_before_any_of_it_is_read(
    at_least: int, error: type[Exception], store: Store
) -> None:
    def read() -> bytes:
        raise AssertionError("it was read")

    before = store.folder()
    with (
        mock.patch.object(files, "free_bytes", return_value=10_000),
        pytest.raises(error, match=f"{at_least:,}"),
    ):
        store.real.stage_restore(
            iter(read, b""), staged_by="x", max_bytes=64 * 1024**2, at_least=at_least
        )
    assert store.folder() == before


def test_upload_that_breaks_off_leaves_nothing(store: Store, snapshot: Path) -> None:
    def upload() -> Iterator[bytes]:
        yield snapshot.read_bytes()[:10_000]
        raise exceptions.UploadInterruptedError("The client went away.")

    before = store.folder()
    with pytest.raises(exceptions.UploadInterruptedError):
        store.stage_chunks(upload())
    assert store.folder() == before


def test_missing_folder_is_an_error_of_ours(tmp_path: Path, snapshot: Path) -> None:
    with pytest.raises(exceptions.StoreFolderError):
        Store(tmp_path / "nowhere" / "tasks.db").stage(snapshot)


def test_upload_that_grows_past_what_it_announced_leaves_the_disk_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes can be unpacked to more than any disk has, and the site writes there too."""
    floor = 50 * 1024**2
    leaving = replace(store, keep_free=floor)
    free = floor + 3 * room.LOOK_EVERY_BYTES
    taken = []

    def growing() -> Iterator[bytes]:
        while True:
            taken.append(1024 * 1024)
            yield bytes(taken[-1])

    monkeypatch.setattr(files, "free_bytes", lambda folder: free - sum(taken))
    with pytest.raises(NotEnoughSpaceError, match=r"52,428,800 stay free for the site \(BACKUPS_"):
        leaving.stage_chunks(growing(), max_bytes=1024**4)
    assert sum(taken) < free - floor + room.LOOK_EVERY_BYTES
    assert store.temporaries() == []
    assert store.outcomes() == []


def test_upload_passes_where_the_system_does_not_tell_what_is_free(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LOOK_EVERY_BYTES", 1)
    snapshot = new_snapshot(tmp_path)
    with mock.patch("shutil.disk_usage", side_effect=OSError(errno.ENOSYS, "not implemented")):
        store.stage(snapshot)
    assert store.paths.pending.exists()
