"""A start that migrates an older snapshot, on a copy, before it becomes live."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from backups.exceptions import (
    BackupError,
    CheckOutOfMemoryError,
    CheckTimedOutError,
    ChildFailedError,
    ChildNotStartedError,
    DamagedSnapshotError,
    UnknownFunctionError,
)
from backups.sqlite.checking.check import check_snapshot
from backups.sqlite.checking.contents import Contents
from backups.sqlite.format.schema import Program
from tests.backups import builders
from tests.backups.sqlite.restores.test_apply_at_start import check_refused, start
from tests.backups.stand_ins import (
    FakeSite,
)
from tests.backups.stores import Store, new_snapshot, new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 'new' pending and no live database yet."""
    store = new_store(tmp_path)
    store.stage(new_snapshot(tmp_path))
    return store


def test_older_snapshot_is_migrated_before_it_becomes_live(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.stage(builders.older(tmp_path / "older.db", "new"))
    builders.hot_wal(store.database, "old")
    receipt = start(store)
    assert receipt.outcome == "applied", receipt.reason
    assert store.items() == ["new"]
    with closing(sqlite3.connect(store.database)) as connection:
        assert connection.execute("SELECT count(*) FROM prices").fetchone() == (0,)
    assert [builders.names(kept) for kept in store.kept()] == [["old"]]
    assert store.listing() == {"tasks.db", store.kept()[0].name, store.paths.receipts.name}
    (migrated,) = store.site.migrated
    assert migrated.parent == store.paths.folder
    assert migrated != store.paths.database


def test_snapshot_of_this_release_is_not_copied_or_migrated(store: Store) -> None:
    inode = os.stat(store.paths.pending).st_ino
    assert start(store).outcome == "applied"
    assert store.site.migrated == []
    assert os.stat(store.database).st_ino == inode


def test_receipt_of_a_migrated_snapshot_tells_what_was_uploaded(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    staged = store.stage(builders.older(tmp_path / "older.db", "new"))
    receipt = start(store)
    assert (receipt.size, receipt.sha256) == (staged.size, staged.sha256)
    assert receipt.migrations == ("shop.0002_prices",)


@pytest.mark.parametrize("changes", [True, False])
def test_program_that_a_migration_is_to_change_must_not_be_as_it_was(
    changes: bool, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    older = builders.older(tmp_path / "older.db", "new")
    builders.healthy(store.database, "old")
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("CREATE VIEW changing AS SELECT 1")
    store.site.programs = frozenset({Program("view", "changing", "other words")})
    store.stage(older)
    migrate = store.site.migrate

    def change(database: Path) -> None:
        migrate(database)
        if changes:
            with closing(sqlite3.connect(database)) as connection:
                connection.executescript("DROP VIEW changing; CREATE VIEW changing AS SELECT 2")

    with mock.patch.object(store.site, "migrate", change):
        receipt = start(store)
    if changes:
        assert (receipt.outcome, store.items()) == ("applied", ["new"])
    else:
        assert (receipt.outcome, store.items()) == ("refused", ["old"])
        assert "the view changing" in receipt.reason


def test_what_a_migration_left_in_its_wal_is_in_the_file_that_becomes_live(
    tmp_path: Path,
) -> None:
    """Its process ended without closing the database."""

    class Careless(FakeSite):
        def migrate(self, database: Path) -> None:
            def work() -> sqlite3.Connection:
                connection = sqlite3.connect(database)
                connection.execute("PRAGMA journal_mode=WAL")
                builders.add_prices(connection)
                builders.add(connection, "in the WAL")
                return connection

            builders.in_killed_process(work)

    store = new_store(tmp_path)
    store.stage(builders.older(tmp_path / "older.db", "new"))
    store.site = Careless()
    receipt = start(store)
    assert receipt.outcome == "applied", receipt.reason
    assert store.items() == ["new", "in the WAL"]
    assert store.listing() == {"tasks.db", store.paths.receipts.name}


def test_failing_migration_refuses_and_sets_the_uploaded_file_aside(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    older = builders.older(tmp_path / "older.db", "new")
    store.stage(older)
    builders.hot_wal(store.database, "old")
    before = store.folder()
    store.site = FakeSite(fails=True)
    refused = check_refused(store, start(store), before, "migrations failed")
    assert refused.read_bytes() == older.read_bytes()


def test_damage_that_a_migration_does_is_refused(tmp_path: Path) -> None:
    class Damaging(FakeSite):
        def migrate(self, database: Path) -> None:
            super().migrate(database)
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("INSERT INTO items (name, owner) VALUES ('stray', 77)")
                connection.commit()

    store = new_store(tmp_path)
    store.stage(builders.older(tmp_path / "older.db"))
    builders.hot_wal(store.database, "old")
    before = store.folder()
    store.site = Damaging()
    check_refused(store, start(store), before, "foreign key check")


def test_damage_that_is_gone_at_the_second_look_was_of_the_disk(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    store.stage(builders.older(tmp_path / "older.db", "new"))
    looks = iter([DamagedSnapshotError("page 7 can't be read"), None])

    def look(*arguments: Any, **options: Any) -> Contents:
        if (error := next(looks)) is not None:
            raise error
        return check_snapshot(*arguments, **options)

    with mock.patch("backups.sqlite.restores.migration.check_snapshot", look):
        assert start(store).outcome == "applied"
    assert store.items() == ["new"]


@pytest.mark.parametrize(
    "error",
    [
        CheckTimedOutError("The check was stopped."),
        CheckOutOfMemoryError("The check needs more memory."),
    ],
    ids=lambda error: error.code,
)
def test_check_that_runs_out_of_time_or_memory_leaves_it_pending(
    error: BackupError, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    store.stage(builders.older(tmp_path / "older.db", "new"))
    with mock.patch("backups.sqlite.restores.migration.check_snapshot", side_effect=error):
        receipt = start(store)
    assert (receipt.outcome, store.items()) == ("blocked", ["old"])
    assert str(error) in receipt.reason
    assert "try 1 of 3" in receipt.reason, "the migrations ran for nothing, and will again"
    assert store.items() == ["old"]
    assert start(store).outcome == "applied"


@pytest.mark.parametrize(
    "error",
    [
        ChildNotStartedError("No Python was found."),
        ChildFailedError("The check did not come to its end."),
        UnknownFunctionError("The schema uses the collation swedish."),
    ],
    ids=lambda error: error.code,
)
def test_check_that_could_not_be_made_leaves_a_good_snapshot_pending(
    error: BackupError, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    store.stage(builders.older(tmp_path / "older.db", "new"))
    builders.hot_wal(store.database, "old")
    with mock.patch("backups.sqlite.restores.migration.check_snapshot", side_effect=error):
        receipt = start(store)
    assert (receipt.outcome, receipt.reason) == ("blocked", str(error))
    assert store.temporaries() == []
    assert start(store).outcome == "applied", "as soon as it can be made"
    assert store.items() == ["new"]
