"""Locks that end, whoever holds them, and folders that strangers can't lock against us."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import file_locks, files
from backups.disk.file_locks import PRIVATE
from backups.exceptions import StoreFolderError
from backups.sqlite.locking import presence
from backups.sqlite.locking.presence import Presence
from tests.backups import builders
from tests.backups.stores import Store, new_snapshot
from tests.backups.strangers import (
    IS_ROOT,
    NOBODY,
    flocked,
    holding,
    open_folder,
    read_locked,
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon; and where these tests do not run as root, take every other for a stranger."""
    monkeypatch.setattr(file_locks, "LOCK_SECONDS", 0.2)
    if not IS_ROOT:
        monkeypatch.setattr(file_locks, "_user", lambda _: NOBODY)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    """'old' is live and 'new' is pending, in a folder that everybody may read."""
    store = Store(folder / "tasks.db")
    builders.healthy(store.database, "old", journal_mode="wal")
    store.stage(new_snapshot(tmp_path))
    return store


# The lock of a folder


def test_stranger_who_locks_an_open_folder_keeps_nobody_waiting(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with flocked(store.paths.folder) as pid:
        store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
        assert store.apply_now().outcome == "applied"
        assert store.items() == ["newer"]
        store.stage(builders.healthy(tmp_path / "newest.db", "newest"))
        store.real.discard_pending_restore(discarded_by="tester")
        assert store.real.get_status().pending is None
    assert f"locked by pid {pid} (" in caplog.text
    assert "chmod go-rwx" in caplog.text
    assert PRIVATE not in store.listing()


def test_start_that_migrates_is_not_kept_waiting_by_a_stranger(folder: Path) -> None:
    store = Store(folder / "tasks.db")
    builders.healthy(store.database, "old")
    store.stage(builders.older(folder / "older.db", "older"))
    with flocked(folder):
        receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert store.items() == ["older"]


def test_process_of_ours_that_keeps_the_folder_is_named_in_the_end(store: Store) -> None:
    with flocked(store.paths.folder, is_us=True) as pid:
        with (
            mock.patch.object(file_locks, "_user", return_value=os.geteuid()),
            pytest.raises(
                StoreFolderError, match=rf"locked for more than 0\.2 seconds by pid {pid}"
            ),
        ):
            store.real.discard_pending_restore(discarded_by="tester")
        assert store.real.get_status().pending is not None, "to ask needs no lock"
    store.real.discard_pending_restore(discarded_by="tester")


def test_process_of_an_earlier_release_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It locks the folder and nothing else."""
    monkeypatch.setattr(file_locks, "LOCK_SECONDS", 30.0)
    monkeypatch.setattr(file_locks, "_user", lambda _: os.geteuid())
    entered = threading.Event()

    def enter() -> None:
        with files.exclusive_folder(folder):
            entered.set()

    earlier = os.open(folder, os.O_RDONLY)
    fcntl.flock(earlier, fcntl.LOCK_EX)
    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.1)
    os.close(earlier)
    assert entered.wait(20)
    thread.join()


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
def test_one_at_a_time_is_in_a_folder_and_nothing_is_left(mode: int, folder: Path) -> None:
    folder.chmod(mode)
    inside, most = 0, 0
    count = threading.Lock()

    def visit() -> None:
        nonlocal inside, most
        for _ in range(20):
            with files.exclusive_folder(folder):
                with count:
                    inside += 1
                    most = max(most, inside)
                os.listdir(folder)
                with count:
                    inside -= 1

    with mock.patch.object(file_locks, "LOCK_SECONDS", 60.0):
        threads = [threading.Thread(target=visit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 1
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("mode", "private"), [(0o755, 0o600), (0o775, 0o660), (0o777, 0o666)])
def test_private_file_is_for_those_who_may_write_the_folder(
    mode: int, private: int, folder: Path
) -> None:
    folder.chmod(mode)
    with files.exclusive_folder(folder):
        assert (folder / PRIVATE).stat().st_mode & 0o777 == private


def test_private_file_that_a_kill_has_left_is_used_and_removed(folder: Path) -> None:
    (folder / PRIVATE).touch(0o600)
    with files.exclusive_folder(folder):
        assert (folder / PRIVATE).exists()
    assert os.listdir(folder) == []


def test_symbolic_link_in_its_place_is_not_followed(folder: Path) -> None:
    (folder / PRIVATE).symlink_to(folder / "elsewhere")
    with files.exclusive_folder(folder):
        assert not (folder / "elsewhere").exists()


def test_folder_without_room_for_a_file_is_locked_itself(folder: Path) -> None:
    with (
        mock.patch.object(file_locks, "_open_private", side_effect=OSError(28, "full")),
        files.exclusive_folder(folder) as descriptor,
    ):
        assert files.is_named(folder, descriptor)


# The locks of files


def test_receipts_and_snapshots_sent_are_closed_to_who_may_only_read(store: Store) -> None:
    store.database.chmod(0o644)
    store.snapshot()
    for path in (store.paths.receipts, store.paths.sent):
        path.chmod(0o644)
    store.snapshot()
    store.real.discard_pending_restore(discarded_by="tester")
    modes = [path.stat().st_mode & 0o777 for path in (store.paths.receipts, store.paths.sent)]
    assert modes == [0o600, 0o600]


def test_stranger_who_has_the_receipts_locked_stops_no_restore(
    store: Store, tmp_path: Path
) -> None:
    """He has them open since before they were closed: the record is lost, and nothing else."""
    store.paths.receipts.chmod(0o644)
    with flocked(store.paths.receipts):
        store.real.discard_pending_restore(discarded_by="tester")
        store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "applied"
    assert store.items() == ["newer"]


def test_stranger_who_has_the_pending_file_locked_stops_no_discard(
    store: Store, tmp_path: Path
) -> None:
    store.paths.pending.chmod(0o644)
    with flocked(store.paths.pending):
        store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
    store.paths.pending.chmod(0o644)
    with flocked(store.paths.pending):
        store.real.discard_pending_restore(discarded_by="tester")
    assert store.real.get_status().pending is None
    assert store.temporaries() == []


# The lock file


def test_stranger_who_has_locked_the_lock_file_is_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier release made it with the mode of the database."""
    store.paths.lock.touch()
    store.paths.lock.chmod(0o644)
    with read_locked(store.paths.lock) as pid:
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"is in use by pid {pid} (" in receipt.reason
        store.real.hold_presence()
        assert store.snapshot(), "the limit is lost rather than every backup"
        store.real.release_presence()
        assert f"{store.paths.lock} is locked by pid {pid} (" in caplog.text
    assert store.paths.lock.stat().st_mode & 0o777 == 0o600
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"


def test_stranger_can_lock_none_of_our_files(store: Store) -> None:
    store.real.hold_presence()
    store.snapshot()
    store.database.chmod(0o600)
    ours = sorted(set(store.paths.folder.iterdir()))
    assert len(ours) >= 5
    if IS_ROOT:
        for path in ours:
            with pytest.raises(AssertionError, match="Permission denied"), flocked(path):
                pass
    assert {path.stat().st_mode & 0o077 for path in ours} == {0}
    store.real.release_presence()


def test_who_waits_for_an_applier_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presence, "TELL_AFTER_SECONDS", 0.0)
    applier, other = Presence(tmp_path / "lock"), Presence(tmp_path / "lock")
    assert applier.try_alone()
    joining = threading.Thread(target=other.join)
    with mock.patch.object(presence.logger, "warning", wraps=presence.logger.warning) as told:
        joining.start()
        while not told.called:
            joining.join(0.01)
            assert joining.is_alive()
        applier.leave()
        joining.join()
    assert other.is_held
    assert f"{tmp_path / 'lock'} locked to apply a restore" in caplog.text
    other.leave()


# SQLite's own


def test_program_that_keeps_sqlites_lock_is_named_where_it_blocks_an_apply(store: Store) -> None:
    connections = []

    def read(_: int) -> None:
        connections.append(sqlite3.connect(store.database))
        connections[0].execute("BEGIN")
        connections[0].execute("SELECT * FROM items").fetchall()

    with holding(store.database, read, is_us=True) as pid:
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"pid {pid} (" in receipt.reason
