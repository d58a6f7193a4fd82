"""The store: what it tells of a pending restore, and of the live database."""

import os
import threading
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from tests.backups import builders
from tests.backups.stores import Store, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose live database has rows in its WAL only."""
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "live")
    return store


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return new_snapshot(tmp_path)


def test_status_and_a_staging_at_once_tell_one_restore_and_not_half_of_two(
    store: Store, snapshot: Path, tmp_path: Path
) -> None:
    """The new restore comes between the two looks at the old one: at its size and its manifest."""
    staged = store.stage(snapshot)
    newer = builders.healthy(tmp_path / "newer.db", *"x" * 500)
    thread = threading.Thread(target=store.stage, args=[newer])
    list_manifests = StorePaths.manifests

    def let_another_stage(paths: StorePaths) -> list[Path]:
        if threading.current_thread() is threading.main_thread() and thread.ident is None:
            thread.start()
            thread.join()
        return list_manifests(paths)

    with mock.patch.object(StorePaths, "manifests", let_another_stage):
        pending = store.real.get_status().pending
    assert pending is not None
    assert pending != staged
    assert (pending.size, pending.sha256) == (newer.stat().st_size, files.sha256(newer))


def test_asking_for_the_status_writes_nothing(store: Store, snapshot: Path) -> None:
    store.stage(snapshot)
    before = builders.folder(store.paths.folder)
    assert store.real.get_status().last is None
    assert builders.folder(store.paths.folder) == before


def test_file_that_nobody_staged_is_told_as_unknown(store: Store, snapshot: Path) -> None:
    os.replace(snapshot, store.paths.pending)
    pending = store.real.get_status().pending
    assert pending is not None
    assert pending.staged_by == "unknown"
    assert pending.sha256 == files.sha256(store.paths.pending)
    assert store.real.discard_pending_restore(discarded_by="tester") is None
    assert not store.paths.pending.exists()


@pytest.mark.parametrize(("mode", "seconds"), [("wal", 60.0), ("delete", 10.0)])
def test_live_database_in_wal_mode_is_looked_through_to_the_end_though_its_wal_is_empty(
    mode: str, seconds: float, tmp_path: Path
) -> None:
    """In rollback mode its writers wait for that."""
    store = Store(tmp_path / "tasks.db")
    builders.healthy(store.database, "row", journal_mode=mode)
    with mock.patch("backups.sqlite.store.find_defects", return_value={}) as find:
        store.real._find_live_defects()
    assert find.call_args.kwargs["seconds"] == seconds
