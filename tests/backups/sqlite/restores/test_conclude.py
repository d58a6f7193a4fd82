"""The end of a restore: its receipt."""

import errno
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from tests.backups import builders
from tests.backups.sqlite.restores.test_apply_at_start import start
from tests.backups.stores import Store, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 'new' pending and no live database yet."""
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    return store


def test_receipts_file_that_cannot_be_written_stops_nothing(store: Store) -> None:
    builders.healthy(store.database, "old")
    store.paths.receipts.unlink()
    store.paths.receipts.mkdir()
    assert start(store).outcome == "applied"
    assert store.items() == ["new"]
    assert store.real.list_receipts() == []


def test_same_block_at_each_start_is_recorded_once(store: Store) -> None:
    builders.healthy(store.database, "old")
    with mock.patch.object(files, "sync_file", side_effect=OSError(errno.EIO, "broken disk")):
        first, second = start(store), start(store)
    assert first.reason == second.reason
    assert store.outcomes() == ["staged", "blocked"]
    assert start(store).outcome == "applied"
    assert store.outcomes() == ["staged", "blocked", "applied"]
