"""What a start finishes after a crash."""

from pathlib import Path
from unittest import mock

import pytest

from backups.sqlite.format.header import is_wal
from tests.backups import builders
from tests.backups.sqlite.restores.test_apply_at_start import start
from tests.backups.stores import Store, insert, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 'new' pending and no live database yet."""
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    return store


def test_receipt_that_a_crash_prevented_is_written_by_the_next_start(store: Store) -> None:
    builders.healthy(store.database, "old")
    with mock.patch("backups.sqlite.restores.conclude.append_receipt", side_effect=OSError):
        assert start(store).outcome == "applied"
    assert store.outcomes() == ["staged"]
    receipt = start(store)
    assert (receipt.outcome, receipt.staged_by) == ("applied", "tester")
    assert receipt.kept == store.kept()[0].name
    assert store.real.get_status().last == receipt
    assert store.start() is None


def apply_without_receipt(store: Store, tmp_path: Path) -> None:
    """Two restores, of which the second has no receipt; then the site writes."""
    builders.healthy(store.database, "old", journal_mode="wal")
    start(store)
    store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
    with mock.patch("backups.sqlite.restores.conclude.append_receipt", side_effect=OSError):
        assert start(store).outcome == "applied"
    insert(store.database, "written later")


def test_receipt_that_could_not_be_written_follows_though_the_site_has_written(
    store: Store, tmp_path: Path
) -> None:
    apply_without_receipt(store, tmp_path)
    receipt = start(store)
    assert (receipt.outcome, receipt.kept) == ("applied", store.kept()[-1].name)
    assert is_wal(store.database)
    assert store.items() == ["newer", "written later"]
    assert store.start() is None


def test_undo_of_a_restore_without_a_receipt_goes_back_to_what_that_has_replaced(
    store: Store, tmp_path: Path
) -> None:
    apply_without_receipt(store, tmp_path)
    store.real.stage_kept_copy(staged_by="tester")
    assert start(store).outcome == "applied"
    assert store.items() == ["new"]


def test_repaired_receipt_does_not_claim_the_copy_of_an_earlier_restore(store: Store) -> None:
    earlier = store.paths.beside(".pre-restore-20200101-000000")
    builders.healthy(earlier, "of an earlier restore")
    with mock.patch("backups.sqlite.restores.conclude.append_receipt", side_effect=OSError):
        start(store)  # with no live database: there was nothing to keep
    assert start(store).kept is None
