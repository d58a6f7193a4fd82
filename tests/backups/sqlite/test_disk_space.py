"""The room on the disk: what uploads are promised, and what is left to the site."""

import errno
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files, room
from backups.disk.room import floor_of
from backups.exceptions import NotEnoughSpaceError
from backups.sqlite import disk_space
from backups.sqlite.folder.temporary import temporary_file
from backups.sqlite.records.manifest import find_manifest
from backups.sqlite.restores.overwrite_transaction import Overwriting
from backups.sqlite.snapshots.spool import LOOK_EVERY_BYTES, Spool
from tests.backups import builders
from tests.backups.stores import MAX_BYTES, Store, chunks, new_snapshot, new_store

MEGABYTE = 1024**2


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    builders.healthy(store.database, "live", journal_mode="wal")
    return replace(store, keep_free=2 * MEGABYTE)


# The floor


@pytest.mark.parametrize(
    ("total", "asked", "floor"),
    [
        (10**12, None, 64 * MEGABYTE),
        (200 * MEGABYTE, None, 10 * MEGABYTE),  # a twentieth: a small disk has to be of use too
        (0, None, 64 * MEGABYTE),  # some file systems do not tell
        (10**12, 0, 0),
        (10**12, 10**10, 10**10),
    ],
)
def test_floor_is_what_is_asked_for_or_small_beside_the_disk(
    total: int, asked: int | None, floor: int, tmp_path: Path
) -> None:
    with mock.patch("shutil.disk_usage", return_value=mock.Mock(total=total)) as usage:
        usage.return_value.__getitem__ = lambda _, index: total
        assert floor_of(tmp_path, asked) == floor


def test_floor_of_a_folder_that_is_missing_is_no_error_of_its_own(tmp_path: Path) -> None:
    assert floor_of(tmp_path / "nowhere", None) == room.FLOOR_BYTES


def test_upload_that_leaves_less_than_the_floor_is_refused_before_it_is_read(store: Store) -> None:
    def read() -> bytes:
        raise AssertionError("it was read")

    before = store.folder()
    with (
        mock.patch.object(files, "free_bytes", return_value=3 * MEGABYTE),
        pytest.raises(NotEnoughSpaceError) as refused,
    ):
        store.real.stage_restore(
            iter(read, b""), staged_by="x", max_bytes=MAX_BYTES, at_least=2 * MEGABYTE
        )
    assert "needs at least 2,097,152 bytes" in str(refused.value)
    assert "3,145,728 are free: 2,097,152 stay free for the site (BACKUPS_KEEP_FREE_BYTES)" in str(
        refused.value
    )
    assert "so 1,048,576 are missing" in str(refused.value)
    assert (refused.value.needed_bytes, refused.value.free_bytes) == (2 * MEGABYTE, 3 * MEGABYTE)
    assert store.folder() == before


def test_upload_stops_at_the_floor_though_it_was_promised_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site itself has taken what was free, and must be able to go on."""
    free = [10 * MEGABYTE]
    monkeypatch.setattr(files, "free_bytes", lambda folder: free[0])
    monkeypatch.setattr(room, "LOOK_EVERY_BYTES", MEGABYTE)

    def upload() -> Iterator[bytes]:
        yield bytes(MEGABYTE)
        free[0] = 2 * MEGABYTE
        for _ in range(4):
            yield bytes(MEGABYTE)

    with pytest.raises(NotEnoughSpaceError, match="BACKUPS_KEEP_FREE_BYTES"):
        store.real.stage_restore(
            upload(), staged_by="x", max_bytes=MAX_BYTES, at_least=5 * MEGABYTE
        )
    assert store.temporaries() == []


@pytest.mark.parametrize("compact", [True, False])
def test_snapshot_leaves_the_floor_or_takes_no_room(store: Store, *, compact: bool) -> None:
    with mock.patch.object(files, "free_bytes", return_value=2 * MEGABYTE + 1000):
        if compact:
            with pytest.raises(NotEnoughSpaceError, match="BACKUPS_KEEP_FREE_BYTES"):
                store.snapshot(compact=True)
        else:
            assert store.snapshot(compact=False)
    assert store.temporaries() == []


def test_snapshot_that_is_being_written_stops_at_the_floor(tmp_path: Path) -> None:
    store = replace(new_store(tmp_path), keep_free=2 * MEGABYTE)
    builders.large(store.database, "row")
    asked: list[int] = []

    def fills_up(folder: Path) -> int:
        asked.append(1)
        return 10**12 if len(asked) == 1 else MEGABYTE

    with (
        mock.patch.object(files, "free_bytes", fills_up),
        pytest.raises(NotEnoughSpaceError, match="BACKUPS_KEEP_FREE_BYTES"),
    ):
        store.snapshot(compact=True)
    assert len(asked) > 1
    assert store.temporaries() == []


def test_restore_without_a_restart_leaves_the_floor_and_stays_pending(
    store: Store, tmp_path: Path
) -> None:
    store.stage(new_snapshot(tmp_path))
    before = store.folder()
    with pytest.raises(NotEnoughSpaceError, match="BACKUPS_KEEP_FREE_BYTES"):
        replace(store, keep_free=10**15).apply_now()
    assert store.items() == ["live"]
    assert store.paths.pending.exists()
    assert set(store.folder()) - set(before) <= {store.paths.receipts.name}


def test_restore_without_a_restart_is_not_given_what_an_upload_was_promised(
    store: Store, tmp_path: Path
) -> None:
    """Nor an upload what it was: the bytes that both need are free for one of them."""
    store.stage(new_snapshot(tmp_path))
    free = files.free_bytes(tmp_path)
    with temporary_file(store.paths, "incoming") as upload:
        disk_space.reserve(store.paths, upload.descriptor, free // 2, floor=0)
        with pytest.raises(NotEnoughSpaceError, match="are promised to other uploads and restores"):
            replace(store, keep_free=free * 3 // 4).apply_now()
    with (
        disk_space.reserved(store.paths, "It needs", free // 2, floor=0),
        temporary_file(store.paths, "incoming") as upload,
        pytest.raises(NotEnoughSpaceError, match="are promised to other uploads and restores"),
    ):
        disk_space.reserve(store.paths, upload.descriptor, free // 2, floor=free // 2)
    assert replace(store, keep_free=0).apply_now().outcome == "applied"
    assert store.temporaries() == []


def test_restore_without_a_restart_stops_at_the_floor_and_changes_nothing(tmp_path: Path) -> None:
    store = replace(new_store(tmp_path), keep_free=MEGABYTE)
    builders.large(store.database, "live")
    store.stage(builders.large(tmp_path / "new.db", "new"))
    manifest = find_manifest(store.paths)
    assert manifest is not None
    with (
        Overwriting(store.paths, manifest, tmp_path / "kept", 60.0, floor=MEGABYTE) as overwriting,
        mock.patch.object(files, "free_bytes", return_value=1000),
        pytest.raises(NotEnoughSpaceError, match="To go on replacing the content"),
    ):
        overwriting.run()
    assert store.items() == ["live"]
    assert not (tmp_path / "kept").exists()


def test_start_applies_though_the_floor_can_not_be_left(store: Store, tmp_path: Path) -> None:
    """Nobody writes then, and a rename takes no room: what waits must not wait for ever."""
    store.stage(new_snapshot(tmp_path, "restored"))
    with mock.patch.object(files, "free_bytes", return_value=0):
        receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied", receipt.reason
    assert store.items() == ["restored"]


def test_spool_stops_at_the_floor_and_takes_no_room_then(store: Store) -> None:
    with temporary_file(store.paths, "spool") as source:
        os.truncate(source.path, 3 * LOOK_EVERY_BYTES)
        spool = Spool.create(str(store.database), 0, 3 * LOOK_EVERY_BYTES, MEGABYTE)
        assert spool is not None

        def piece(offset: int) -> tuple[int, int, int]:
            return source.descriptor, offset, LOOK_EVERY_BYTES

        assert spool.add(piece)
        with mock.patch.object(files, "free_bytes", return_value=MEGABYTE):
            assert not spool.add(piece)
            assert Spool.create(str(store.database), 0, 1, MEGABYTE) is None
        assert os.fstat(spool.descriptor).st_size == 0
        os.close(spool.descriptor)


# Promises


def test_two_uploads_are_not_promised_the_same_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However often: the first has its promise before the second looks, and the other way round."""
    monkeypatch.setattr(files, "free_bytes", lambda folder: 12 * MEGABYTE)
    snapshot = new_snapshot(tmp_path).read_bytes()
    begun, go_on = threading.Barrier(2), threading.Event()
    outcomes: list[str] = []

    def upload() -> None:
        def content() -> Iterator[bytes]:
            go_on.wait(60)
            yield from chunks(snapshot)

        begun.wait()
        try:
            store.real.stage_restore(
                content(), staged_by="x", max_bytes=MAX_BYTES, at_least=6 * MEGABYTE
            )
            outcomes.append("staged")
        except NotEnoughSpaceError as error:
            outcomes.append(str(error))
            go_on.set()

    both = [threading.Thread(target=upload) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    (refused,) = [each for each in outcomes if each != "staged"]
    assert "staged" in outcomes
    assert "2,097,152 stay free for the site" in refused
    assert re.search(
        r"and 6,291,456 are promised to other uploads and restores, so 2,097,152 are missing",
        refused,
    )
    assert store.paths.pending.read_bytes() == snapshot
    assert store.temporaries() == []


def test_what_is_written_is_not_counted_as_promised_too(store: Store) -> None:
    with (
        temporary_file(store.paths, "incoming") as other,
        temporary_file(store.paths, "incoming") as own,
    ):
        disk_space.reserve(store.paths, other.descriptor, 8 * MEGABYTE, floor=0)
        assert disk_space.promised(store.paths, but=own.descriptor) == 8 * MEGABYTE
        assert disk_space.promised(store.paths, but=other.descriptor) == 0
        os.write(other.descriptor, bytes(3 * MEGABYTE))
        os.fsync(other.descriptor)
        left = disk_space.promised(store.paths, but=own.descriptor)
        assert 4 * MEGABYTE < left <= 5 * MEGABYTE
    with temporary_file(store.paths, "incoming") as own:
        assert disk_space.promised(store.paths, but=own.descriptor) == 0


def test_killed_upload_has_no_promise_and_its_room_is_free_again(store: Store) -> None:
    abandoned = store.paths.temporary("incoming")
    abandoned.touch()
    os.truncate(abandoned, 10**12)
    with temporary_file(store.paths, "incoming") as own:
        disk_space.reserve(store.paths, own.descriptor, MEGABYTE, floor=0)
    assert not abandoned.exists()


def test_snapshot_is_not_refused_for_what_a_stalled_upload_was_promised(store: Store) -> None:
    """Or whoever announces much and sends nothing keeps everybody from a backup."""
    with temporary_file(store.paths, "incoming") as stalled:
        disk_space.reserve(
            store.paths, stalled.descriptor, files.free_bytes(store.paths.folder) // 2, floor=0
        )
        assert store.snapshot(compact=True)


def test_upload_that_is_shorter_than_its_promise_is_staged_as_it_came(
    store: Store, tmp_path: Path
) -> None:
    """What is packed can be longer than what was in it."""
    content = new_snapshot(tmp_path).read_bytes()
    store.real.stage_restore(
        chunks(content), staged_by="x", max_bytes=MAX_BYTES, at_least=len(content) + MEGABYTE
    )
    assert store.paths.pending.read_bytes() == content


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
def test_file_system_that_makes_no_holes_takes_uploads_all_the_same(
    code: int, store: Store, tmp_path: Path
) -> None:
    content = new_snapshot(tmp_path).read_bytes()
    real = os.ftruncate

    def ftruncate(descriptor: int, length: int) -> None:
        if length > len(content):
            raise OSError(code, os.strerror(code))
        real(descriptor, length)

    with mock.patch("os.ftruncate", ftruncate):
        store.real.stage_restore(
            chunks(content), staged_by="x", max_bytes=MAX_BYTES, at_least=len(content) + 1
        )
    assert store.paths.pending.read_bytes() == content


def test_somebody_who_keeps_the_lock_of_the_promises_stops_no_upload(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "ADMISSION_SECONDS", 0.05)
    with disk_space._one_at_a_time(store.paths):
        store.stage(new_snapshot(tmp_path))
    assert store.paths.pending.exists()


def test_handler_of_a_connection_is_gone_after_the_block(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    count = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    with mock.patch.object(files, "free_bytes", return_value=0):
        with (
            disk_space.leaving(tmp_path, connection, floor=1),
            pytest.raises(sqlite3.OperationalError, match="interrupted"),
        ):
            connection.execute(f"{count} SELECT sum(i) FROM n").fetchone()
        assert connection.execute(f"{count} SELECT count(i) FROM n").fetchone() == (50000,)
    connection.close()
