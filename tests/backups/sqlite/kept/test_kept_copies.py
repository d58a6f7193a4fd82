"""Going back: the kept copy of the last restore is staged like any other snapshot."""

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import NoKeptCopyError, StoreFolderError
from backups.sqlite.restores import stage
from backups.sqlite.site import Live
from tests.backups import builders
from tests.backups.stand_ins import FakeSite
from tests.backups.stores import Store, insert, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose database was replaced: 'old' is in its kept copy."""
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "old")
    store.stage(new_snapshot(tmp_path))
    store.start()
    return store


def undo(store: Store) -> None:
    store.real.stage_kept_copy(staged_by="alice")
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"


def test_undo_stages_what_the_last_restore_replaced(store: Store) -> None:
    (kept,) = store.kept()
    content = kept.read_bytes()
    pending = store.real.stage_kept_copy(staged_by="alice")
    assert (pending.undoes, pending.staged_by) == (kept.name, "alice")
    assert store.items() == ["new"], "undo stages, and the next start applies"
    assert store.start() is not None
    assert store.items() == ["old"]
    assert kept.read_bytes() == content
    applied, staged, *_ = store.real.list_receipts()
    assert (applied.outcome, staged.outcome) == ("applied", "staged")
    assert applied.undoes == staged.undoes == kept.name


def test_view_of_the_database_that_was_replaced_does_not_keep_it_from_coming_back(
    tmp_path: Path,
) -> None:
    """The live database does not have it any more: the snapshot that replaced it had none."""
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("CREATE VIEW cheap AS SELECT * FROM items")
    store.site.programs = frozenset()
    store.stage(new_snapshot(tmp_path))
    store.start()
    undo(store)
    assert store.items() == ["old"]


def test_live_database_that_never_answers_does_not_keep_it_from_coming_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(stage, "LIVE_SECONDS", 0.1)
    monkeypatch.setattr(FakeSite, "read_live", lambda _: answer.wait() and Live())
    kept = store.kept()[0]
    pending = store.real.stage_kept_copy(staged_by="alice")
    answer.set()
    assert (pending.undoes, pending.warnings) == (kept.name, ())
    assert store.paths.pending.read_bytes() == kept.read_bytes()


def test_undo_needs_no_thread_where_the_system_refuses_one(store: Store) -> None:
    with mock.patch.object(stage, "threading") as refusing:
        refusing.Thread.return_value.start.side_effect = RuntimeError("can't start new thread")
        assert store.real.stage_kept_copy(staged_by="alice").undoes == store.kept()[0].name


def test_undo_twice_is_redo(store: Store) -> None:
    insert(store.database, "after the restore")
    undo(store)
    assert store.items() == ["old"]
    undo(store)
    assert store.items() == ["new", "after the restore"]


def test_undo_of_nothing_is_an_error(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with pytest.raises(NoKeptCopyError, match="No restore has been applied"):
        store.real.stage_kept_copy(staged_by="alice")


def test_receipts_that_cannot_be_read_are_not_taken_for_none(store: Store) -> None:
    store.paths.receipts.unlink()
    store.paths.receipts.mkdir()
    with pytest.raises(StoreFolderError, match="restore-receipts"):
        store.real.stage_kept_copy(staged_by="alice")


def test_restore_that_replaced_nothing_cannot_be_undone(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    store.start()
    with pytest.raises(NoKeptCopyError, match="there was no database"):
        store.real.stage_kept_copy(staged_by="alice")


def test_kept_copy_that_is_gone_is_named(store: Store) -> None:
    (kept,) = store.kept()
    kept.unlink()
    with pytest.raises(NoKeptCopyError, match=kept.name):
        store.real.stage_kept_copy(staged_by="alice")
    assert store.items() == ["new"]


def test_kept_copy_with_rows_beside_it_is_not_taken_for_whole(store: Store) -> None:
    (kept,) = store.kept()
    kept.with_name(f"{kept.name}-wal").write_bytes(b"rows of somebody who opened it")
    with pytest.raises(NoKeptCopyError, match="-wal exists"):
        store.real.stage_kept_copy(staged_by="alice")


def test_kept_copy_that_is_damaged_goes_back_as_it_was_with_a_warning(store: Store) -> None:
    (kept,) = store.kept()
    builders.scribbled_page(kept.with_name("damaged")).replace(kept)
    (warning,) = store.real.stage_kept_copy(staged_by="alice").warnings
    assert warning.startswith(
        "The kept copy fails the checks of a snapshot: The file fails SQLite's integrity check:"
    )
    assert store.paths.pending.read_bytes() == kept.read_bytes()
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    # But for the first 100 bytes, which tell the journal mode: that of what was live stays.
    assert store.database.read_bytes()[100:] == kept.read_bytes()[100:]


def test_raw_copies_of_a_ruined_database_cannot_be_undone_to(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.ruined(store.database)
    store.stage(new_snapshot(tmp_path))
    store.start()
    (kept,) = store.kept()
    with pytest.raises(NoKeptCopyError, match="folder of raw copies") as caught:
        store.real.stage_kept_copy(staged_by="alice")
    assert str(kept) in str(caught.value)
    (listed,) = store.real.list_kept_copies()
    assert (listed.name, listed.is_database) == (kept.name, False)
    assert listed.size == sum(path.stat().st_size for path in kept.iterdir())


def test_kept_copies_are_listed_newest_first_with_size_and_time(store: Store) -> None:
    for attempt in ("20200102-030405", "20200102-030405-2", "20200102-030405-10"):
        builders.healthy(store.paths.beside(f".pre-restore-{attempt}"), attempt)
    store.paths.beside(".pre-restore-20200102-030405-wal").write_bytes(b"not one of ours")
    listed = store.real.list_kept_copies()
    assert [copy.name.rpartition("restore-")[2] for copy in listed[1:]] == [
        "20200102-030405-10",
        "20200102-030405-2",
        "20200102-030405",
    ]
    assert listed[1].kept_at == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert listed[1].size == os.stat(store.paths.folder / listed[1].name).st_size
    assert all(copy.is_database for copy in listed)


# How many are kept


@pytest.mark.proof
@pytest.mark.parametrize(("keep", "stay"), [(3, 3), (1, 1), (2, 2), (0, 5)])
def test_newest_copies_are_kept(keep: int, stay: int, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.kept_copies = keep
    builders.healthy(store.database, "0")
    for number in range(1, 6):  # all within a second or two: none overwrites another
        store.stage(builders.healthy(tmp_path / f"{number}.db", str(number)))
        store.start()
    assert [builders.names(kept) for kept in store.paths.pre_restores()] == [
        [str(number)] for number in range(5 - stay, 5)
    ]
    assert store.temporaries() == []


def test_copy_just_made_stays_although_the_clock_went_back(store: Store, tmp_path: Path) -> None:
    store.kept_copies = 1
    from_the_future = store.paths.beside(".pre-restore-29990101-000000")
    builders.healthy(from_the_future, "a clock was wrong")
    store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
    store.start()
    (kept,) = store.kept()
    assert builders.names(kept) == ["new"]


def test_what_a_program_left_beside_a_copy_is_pruned_with_it(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.kept_copies = 1
    opened = builders.healthy(store.paths.beside(".pre-restore-20200101-000000"), "older")
    beside = [opened.with_name(opened.name + end) for end in ("-wal", "-shm")]
    for path in beside:
        path.touch()
    builders.healthy(store.database, "old")
    store.stage(new_snapshot(tmp_path))
    store.start()
    assert [builders.names(kept) for kept in store.kept()] == [["old"]]


def test_folders_of_raw_copies_are_pruned_too(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.kept_copies = 1
    for number in range(2):
        for path in (store.database, *store.paths.sidecars):
            path.unlink(missing_ok=True)
        builders.ruined(store.database)
        store.stage(builders.healthy(tmp_path / f"{number}.db", str(number)))
        store.start()
    (kept,) = store.kept()
    assert kept.is_dir()
    assert store.temporaries() == []


def test_nothing_is_pruned_unless_a_restore_was_applied(store: Store, tmp_path: Path) -> None:
    store.kept_copies = 1
    for number in range(3):
        builders.healthy(store.paths.beside(f".pre-restore-2020010{number + 1}-000000"), "kept")
    before = store.kept()
    store.stage(builders.healthy(tmp_path / "newer.db", "newer"))
    with store.paths.pending.open("r+b") as pending:
        pending.write(b"scribbled")
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "refused"
    assert store.kept() == before


def test_order_of_the_copies_is_that_of_the_restores_whatever_the_clock_said(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    store.kept_copies = 2
    builders.healthy(store.database, "0")
    for number, year in enumerate((2050, 2001, 2030), start=1):
        store.stage(builders.healthy(tmp_path / f"{number}.db", str(number)))
        with mock.patch("backups.sqlite.restores.apply_at_start.datetime") as clock:
            clock.now.return_value = datetime(year, 1, 1, tzinfo=UTC)
            store.start()
    kept = [
        builders.names(store.paths.folder / copy.name) for copy in store.real.list_kept_copies()
    ]
    assert kept == [["2"], ["1"]], "the one of 2050 was made first"
    undo(store)
    assert store.items() == ["2"]
