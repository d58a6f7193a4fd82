"""How often a start runs migrations that do not end, and what is said of it."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import MigrationStoppedError, RestoreBlockedError
from backups.sqlite.records.manifest import Manifest
from backups.store import Receipt
from tests.backups import builders
from tests.backups.stand_ins import FakeSite
from tests.backups.stores import Store

LATE = MigrationStoppedError("They did not end within 9 seconds. If they need more, raise IT.")
FULL = RestoreBlockedError("The disk is full.")


class Stopping(FakeSite):
    """Its migrations end with this error."""

    error: Exception = LATE

    def migrate(self, database: Path) -> None:
        self.migrated.append(database)
        raise self.error


class Killed(FakeSite):
    """Its migrations are the end of the process."""

    def migrate(self, database: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A site with a snapshot pending whose migrations do not end."""
    folder = tmp_path / "site"
    folder.mkdir()
    store = Store(folder / "tasks.db", site=Stopping())
    builders.healthy(store.database, "old")
    store.stage(builders.older(tmp_path / "older.db", "new"))
    return store


def start(store: Store) -> Receipt:
    receipt = store.start()
    assert receipt is not None
    return receipt


def tries(store: Store) -> int:
    (path,) = store.paths.manifests()
    manifest = Manifest.read(path)
    assert manifest is not None
    return manifest.tries


def test_each_start_says_how_many_are_left_and_the_last_one_sets_it_aside(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = store.paths.pending.read_bytes()
    for number, left in ((1, "2 more starts"), (2, "1 more start")):
        receipt = start(store)
        assert (receipt.outcome, store.items()) == ("blocked", ["old"])
        assert receipt.reason.startswith(str(LATE))
        assert f"That was try {number} of 3 (BACKUPS_MIGRATE_TRIES): {left} may" in receipt.reason
        assert f"try {number} of 3" in caplog.messages[-1], "before they run"
        assert not store.temporaries()
    receipt = start(store)
    assert (receipt.outcome, store.items()) == ("refused", ["old"])
    assert str(LATE) in receipt.reason
    assert "try 3 of 3 (BACKUPS_MIGRATE_TRIES), the last one" in receipt.reason
    assert "Nothing is known to be wrong with the snapshot" in receipt.reason
    assert receipt.kept is not None
    assert (store.paths.folder / receipt.kept).read_bytes() == snapshot
    assert store.start() is None, "the next start must not wait any more"


def test_what_was_set_aside_can_be_staged_again_and_has_all_its_tries(store: Store) -> None:
    outcomes = [start(store) for _ in range(3)]
    aside = store.paths.folder / str(outcomes[-1].kept)
    store.stage(aside)
    assert "try 1 of 3" in start(store).reason
    store.site = FakeSite()
    assert (start(store).outcome, store.items()) == ("applied", ["new"])


def test_start_that_is_killed_while_they_run_counts(store: Store) -> None:
    """By a service manager that takes it for hung, say: nobody is left to say anything."""

    def work() -> None:
        store.site = Killed()
        store.start()

    for number in (1, 2, 3):
        builders.in_killed_process(work)
        assert tries(store) == number
    receipt = start(store)
    assert (receipt.outcome, store.site.migrated, store.items()) == ("refused", [], ["old"])
    assert "3 starts began its migrations, and none finished them" in receipt.reason


def test_other_failure_of_the_machine_costs_no_try(store: Store) -> None:
    start(store)
    with mock.patch.object(Stopping, "error", FULL):
        for _ in range(5):
            receipt = start(store)
            assert (receipt.outcome, receipt.reason, tries(store)) == ("blocked", str(FULL), 1)


def test_raised_setting_gives_more_tries(store: Store) -> None:
    start(store)
    store.migrate_tries = 1
    assert start(store).outcome == "refused"


def test_undo_that_needs_migrations_is_put_in_place_as_it_was(store: Store, tmp_path: Path) -> None:
    """What was live once goes live again at last, whatever its migrations do."""
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("DELETE FROM django_migrations WHERE name = '0002_prices'")
        connection.commit()
    store.stage(builders.healthy(tmp_path / "x.db", "hostile"))
    assert start(store).outcome == "applied"
    store.real.stage_kept_copy(staged_by="owner")
    outcomes = [start(store).outcome for _ in range(3)]
    assert outcomes == ["blocked", "blocked", "applied"]
    assert store.items() == ["old"]


def test_manifest_of_an_older_release_has_no_tries_yet(store: Store) -> None:
    (path,) = store.paths.manifests()
    path.write_text(path.read_text().replace('"tries": 0, ', ""))
    assert "tries" not in path.read_text()
    assert "try 1 of 3" in start(store).reason
