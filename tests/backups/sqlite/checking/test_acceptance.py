"""Snapshots with defects go back where they are accepted, and so does what a restore replaced."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backups.disk import files
from backups.exceptions import (
    BrokenReferencesError,
    DamagedSnapshotError,
    InvalidSnapshotError,
    WrongLengthError,
)
from backups.sqlite.checking.defects import new_ones
from backups.sqlite.records.manifest import find_manifest
from backups.sqlite.records.sent_snapshots import record_sent
from backups.store import DEFECTS, describe_defects
from tests.backups import builders
from tests.backups.sqlite.checking.live_databases import Build, defects_of, live, use_wal
from tests.backups.stores import Store, new_snapshot, new_store


def apply_at_start(store: Store) -> None:
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.reason) == ("applied", "")


def apply_now(store: Store) -> None:
    assert store.apply_now().outcome == "applied"


# The snapshot of a database with defects goes back to it


@pytest.mark.proof
@pytest.mark.parametrize(
    ("compact", "apply"),
    [(True, apply_now), (False, apply_at_start)],
    ids=["compact, at once", "pages, at a start"],
)
@pytest.mark.parametrize("build", builders.DEFECTS, ids=lambda build: build.__name__)
def test_snapshot_of_a_database_with_defects_goes_back_and_can_be_undone(
    build: Build, compact: bool, apply: Callable[[Store], None], tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    live(store, build)
    before = defects_of(store.database)
    use_wal(store)
    snapshot = tmp_path / "taken.db"
    snapshot.write_bytes(store.snapshot(compact=compact))

    store.paths.sent.unlink(missing_ok=True)  # as on a machine that did not send it
    pending = store.stage(snapshot)
    if expected := defects_of(snapshot):
        (warning,) = pending.warnings
        assert "which the live database has too" in warning
        assert describe_defects(expected) in warning
    apply(store)
    assert not new_ones(defects_of(store.database), before)

    store.stage(new_snapshot(tmp_path))
    apply(store)
    assert not defects_of(store.database)
    warnings = store.real.stage_kept_copy(staged_by="tester").warnings
    assert not any("fails the checks" in warning for warning in warnings)
    apply(store)
    assert defects_of(store.database) == expected


@pytest.mark.parametrize("build", builders.DEFECTS, ids=lambda build: build.__name__)
def test_defects_that_the_live_database_lacks_are_refused_until_they_are_accepted(
    build: Build, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    before = live(store, lambda path: builders.healthy(path, "old"))
    bad = build(tmp_path / "bad.db")
    is_reference = build in (builders.broken_reference, builders.old_parent)
    error = BrokenReferencesError if is_reference else InvalidSnapshotError
    with pytest.raises(error) as caught:
        store.stage(bad)
    assert "--accept-defects" in caught.value.hint
    assert store.database.read_bytes() == before
    assert not store.paths.pending.exists()

    (warning,) = store.stage(bad, accept=[DEFECTS]).warnings
    assert describe_defects(defects_of(bad)) in warning
    apply_at_start(store)
    assert defects_of(store.database) == defects_of(bad)


def test_one_more_defect_than_the_live_database_has_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live(store, builders.broken_reference)
    worse = builders.broken_reference(tmp_path / "worse.db")
    with closing(sqlite3.connect(worse)) as connection:
        connection.execute("INSERT INTO items (name, owner) VALUES ('another', 78)")
        connection.commit()
    with pytest.raises(BrokenReferencesError, match="row 2 of items refers to a row of owners"):
        store.stage(worse)


def test_defects_that_this_site_has_sent_are_those_of_its_own_database(tmp_path: Path) -> None:
    """Even if the live database has been lost since."""
    store = new_store(tmp_path)
    snapshot = builders.null_in_not_null(tmp_path / "snapshot.db")
    record_sent(store.paths, sha256=files.sha256(snapshot), size=snapshot.stat().st_size)
    (warning,) = store.stage(snapshot).warnings
    assert warning == "The snapshot has 3 defects: NULL value in owners.name (3)."
    apply_at_start(store)


def test_index_that_was_not_looked_at_while_staging_does_not_fail_the_start(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    older = builders.unindexed(tmp_path / "older.db")
    with closing(sqlite3.connect(older)) as connection:
        connection.executescript(
            "DROP TABLE prices; DELETE FROM django_migrations WHERE name = '0002_prices'"
        )
    record_sent(store.paths, sha256=files.sha256(older), size=older.stat().st_size)
    assert store.stage(older).warnings == ()
    apply_at_start(store)
    assert store.site.migrated


# What stays refused


def test_damage_behind_many_defects_is_found(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live(store, lambda path: builders.healthy(path, "old"))
    bad = builders.scribbled_page(tmp_path / "bad.db")
    with closing(sqlite3.connect(bad)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.executemany(
            "INSERT INTO owners (id, name) VALUES (?, 'x')", [(n,) for n in range(90)]
        )
        connection.commit()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT NOT NULL', 'name TEXT NOT NULL"
            " CHECK (id < 0)') WHERE name = 'owners'"
        )
        connection.commit()
    with pytest.raises(DamagedSnapshotError, match=r"malformed|in database main"):
        store.stage(bad, accept=[DEFECTS])
    assert not store.paths.pending.exists()


# Bytes behind the last page


def test_bytes_behind_the_last_page_are_left_out_if_they_are_accepted(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live(store, lambda path: builders.healthy(path, "old"))
    longer = builders.trailing_bytes(tmp_path / "longer.db")
    with pytest.raises(WrongLengthError) as caught:
        store.stage(longer)
    assert "--accept-defects" in caught.value.hint
    (warning,) = store.stage(longer, accept=[DEFECTS]).warnings
    assert warning == "6 bytes after the last page of the file were left out."
    assert store.paths.pending.read_bytes() == longer.read_bytes()[:-6]
    apply_at_start(store)
    assert store.items() == ["longer"]


@pytest.mark.parametrize(
    ("compact", "apply"), [(True, apply_now), (False, apply_at_start)], ids=["compact", "pages"]
)
@pytest.mark.parametrize("behind", [b"<html>", bytes(4096)])
def test_live_database_with_bytes_behind_its_last_page_comes_back(
    behind: bytes, apply: Callable[[Store], None], compact: bool, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode="wal")
    with store.database.open("ab") as end:
        end.write(behind)
    snapshot = tmp_path / "taken.db"
    snapshot.write_bytes(store.snapshot(compact=compact))
    assert store.stage(snapshot).warnings == ()
    store.stage(new_snapshot(tmp_path))
    apply(store)
    store.real.stage_kept_copy(staged_by="tester")
    apply(store)
    assert store.items() == ["old"]


# Undo never refuses what was live


def replaced(store: Store, build: Build, folder: Path) -> bytes:
    """Let this be what the last restore has replaced, and return its bytes."""
    builders.healthy(store.database, "old")
    store.stage(new_snapshot(folder))
    store.start()
    (kept,) = store.kept()
    build(kept.with_name("was-live")).replace(kept)
    return kept.read_bytes()


@pytest.mark.parametrize(
    "apply", [apply_at_start, pytest.param(apply_now, marks=pytest.mark.proof)]
)
@pytest.mark.parametrize(
    "build",
    [
        builders.newer,
        builders.missing_table,
        builders.foreign,
        builders.other_migrations,
        builders.no_migration,
        builders.lost_counter,
        builders.odd_counter,
        builders.unknown_function,
        builders.scribbled_page,
    ],
    ids=lambda build: build.__name__,
)
def test_whatever_was_live_goes_back_byte_for_byte(
    build: Build, apply: Callable[[Store], None], tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    content = replaced(store, build, tmp_path)
    store.real.stage_kept_copy(staged_by="tester")
    apply(store)
    if apply is apply_at_start:
        assert store.database.read_bytes() == content
    assert store.outcomes()[-1] == "applied"


@pytest.mark.parametrize(
    "build", [builders.truncated, builders.torn, builders.bad_schema, builders.text]
)
def test_kept_copy_that_was_ruined_since_is_refused(build: Build, tmp_path: Path) -> None:
    """No site has run with it: to put it back would be the end of the one that runs."""
    store = new_store(tmp_path)
    replaced(store, build, tmp_path)
    with pytest.raises(InvalidSnapshotError):
        store.real.stage_kept_copy(staged_by="tester")
    assert not store.paths.pending.exists()
    assert store.items() == ["new"]


def test_trigger_on_the_sessions_does_not_keep_an_undo_back(tmp_path: Path) -> None:
    def with_trigger(path: Path) -> Path:
        with closing(sqlite3.connect(builders.with_sessions(path, "key"))) as connection:
            connection.execute(
                "CREATE TRIGGER told AFTER DELETE ON sessions BEGIN DELETE FROM items; END"
            )
        return path

    store = new_store(tmp_path)
    content = replaced(store, with_trigger, tmp_path)
    warnings = store.real.stage_kept_copy(staged_by="tester").warnings
    if hasattr(sqlite3.Connection, "setconfig"):  # its triggers are off: the sessions can go
        assert warnings == ()
        apply_at_start(store)
        with closing(sqlite3.connect(store.database)) as connection:
            assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    else:
        assert "with its login sessions" in warnings[0]
        apply_at_start(store)
        assert store.database.read_bytes() == content
    assert store.items() == ["row"]


@pytest.mark.proof
def test_undo_is_not_kept_back_by_a_check_that_takes_too_long(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    content = replaced(store, builders.slow_to_check, tmp_path)
    store.check_seconds = 0.001
    (warning,) = store.real.stage_kept_copy(staged_by="tester").warnings
    assert "did not end within 0.001 seconds" in warning
    apply_at_start(store)
    assert store.database.read_bytes() == content


def test_what_was_live_and_cannot_be_migrated_is_put_back_as_it_was(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    content = replaced(store, lambda path: builders.older(path, "old"), tmp_path)
    store.real.stage_kept_copy(staged_by="tester")
    store.site.fails = True
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert "could not be migrated: The snapshot's migrations failed" in receipt.reason
    assert store.database.read_bytes() == content


# Migrations


def test_accepted_defects_are_accepted_again_after_the_migrations(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live(store, builders.broken_reference)
    older = builders.older(tmp_path / "older.db")
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("INSERT INTO items (name, owner) VALUES ('stray', 77)")
        connection.commit()
    defects, migrations = store.stage(older).warnings
    assert "1 defect, which the live database has too" in defects
    assert "may fail because of its defects" in migrations
    manifest = find_manifest(store.paths)
    assert manifest is not None
    assert manifest.accepted == (DEFECTS,)
    os.truncate(store.database, 0)  # nobody can ask it any more
    apply_at_start(store)
    assert store.site.migrated
