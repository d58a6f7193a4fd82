"""A snapshot that is tried on a scratch copy, as a restore would take it."""

import os
import signal
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import (
    BrokenReferencesError,
    DamagedSnapshotError,
    NotEnoughSpaceError,
    RestoreRefusedError,
    SnapshotTooLargeError,
    StoreFolderError,
)
from backups.sqlite import disk_space
from backups.store import Proof
from tests.backups import builders
from tests.backups.stand_ins import FakeSite
from tests.backups.stores import MAX_BYTES, Store, chunks


def prove(store: Store, snapshot: Path, *, at_least: int = 0) -> Proof:
    return prove_chunks(store, chunks(snapshot.read_bytes()), at_least=at_least)


def prove_chunks(store: Store, content: Iterable[bytes], *, at_least: int = 0) -> Proof:
    """Try it; nothing in the folder may be another afterwards."""
    before = what_counts(store)
    try:
        return store.real.prove(content, max_bytes=MAX_BYTES, at_least=at_least)
    finally:
        assert what_counts(store) == before


def what_counts(store: Store) -> dict[str, bytes]:
    """Every file with its bytes, but for what a reader of the live database leaves."""
    wal, shm, _ = (path.name for path in store.paths.sidecars)
    everything = store.folder()
    return {
        name: everything[name]
        for name in everything
        if everything[name] or name != wal
        if name != shm
    }


def add_stray(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO items (name, owner) VALUES ('stray', 77)")
        connection.commit()


def test_rows_are_counted_and_nothing_is_staged(store: Store, snapshot: Path) -> None:
    proof = prove(store, snapshot)
    assert proof.came == proof.restored
    assert proof.came.rows == {"django_migrations": 2, "items": 1, "owners": 0, "prices": 0}
    assert proof.came.migrations == builders.MIGRATIONS
    assert (proof.migrations, proof.warnings) == ((), ())


def test_older_snapshot_is_brought_to_this_release_on_the_scratch_copy(
    store: Store, tmp_path: Path
) -> None:
    proof = prove(store, builders.older(tmp_path / "older.db", "new"))
    assert proof.migrations == ("shop.0002_prices",)
    assert "prices" not in proof.came.rows
    assert proof.restored.rows["prices"] == 0
    assert proof.restored.migrations == builders.MIGRATIONS
    (migrated,) = store.site.migrated
    assert migrated.name.startswith("tasks.db.scratch-")


def test_pending_restore_stays_pending(store: Store, snapshot: Path, tmp_path: Path) -> None:
    store.stage(snapshot)
    prove(store, builders.older(tmp_path / "older.db", "another"))
    assert store.start() is not None
    assert store.items() == ["new"]


def test_login_sessions_do_not_count_since_a_restore_removes_them(
    store: Store, tmp_path: Path
) -> None:
    proof = prove(store, builders.with_sessions(tmp_path / "sessions.db", "one", "two"))
    assert proof.came.rows["sessions"] == 0
    assert proof.emptied == ("sessions",)


def test_defect_is_a_warning_if_the_live_database_has_it_too(store: Store, snapshot: Path) -> None:
    add_stray(snapshot)
    with pytest.raises(BrokenReferencesError):
        prove(store, snapshot)
    add_stray(store.database)
    (warning,) = prove(store, snapshot).warnings
    assert "which the live database has too" in warning


def test_failing_migration_refuses(store: Store, tmp_path: Path) -> None:
    store.site = FakeSite(fails=True)
    with pytest.raises(RestoreRefusedError, match="migrations failed"):
        prove(store, builders.older(tmp_path / "older.db"))


def test_damaged_snapshot_is_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DamagedSnapshotError):
        prove(store, builders.unindexed(tmp_path / "unindexed.db"))


def test_snapshot_above_the_limit_is_not_read(store: Store) -> None:
    def read(number: int) -> bytes:
        raise AssertionError

    with pytest.raises(SnapshotTooLargeError):
        prove_chunks(store, map(read, [0]), at_least=MAX_BYTES + 1)


def test_room_is_promised_to_it_while_it_arrives(store: Store, snapshot: Path) -> None:
    promised = []

    def content() -> Iterator[bytes]:
        promised.append(disk_space.promised(store.paths))
        yield snapshot.read_bytes()

    prove_chunks(store, content(), at_least=snapshot.stat().st_size)
    assert promised == [snapshot.stat().st_size]


def test_full_disk_is_known_before_a_byte_is_read(store: Store, snapshot: Path) -> None:
    store.keep_free = 2**60
    with pytest.raises(NotEnoughSpaceError):
        prove(store, snapshot, at_least=1)


def test_migrations_need_as_much_room_once_more(store: Store, tmp_path: Path) -> None:
    older = builders.older(tmp_path / "older.db")
    most = older.stat().st_size - 1
    with (
        mock.patch.object(files, "has_room", lambda folder, size: size <= most),
        pytest.raises(NotEnoughSpaceError, match="To run migrations on a copy"),
    ):
        prove(store, older)
    assert store.site.migrated == []


def test_system_that_refuses_is_not_the_fault_of_the_snapshot(store: Store, tmp_path: Path) -> None:
    class Failing(FakeSite):
        def migrate(self, database: Path) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    store.site = Failing()
    with pytest.raises(StoreFolderError, match="disk I/O error"):
        prove(store, builders.older(tmp_path / "older.db"))


def test_killed_drill_leaves_nothing_after_the_next_start(store: Store, tmp_path: Path) -> None:
    class Killed(FakeSite):
        def migrate(self, database: Path) -> None:
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                builders.add_prices(connection)
                os.kill(os.getpid(), signal.SIGKILL)

    older, before = builders.older(tmp_path / "older.db"), store.folder()
    store.site = Killed()
    builders.in_killed_process(
        lambda: store.real.prove(chunks(older.read_bytes()), max_bytes=MAX_BYTES)
    )
    assert any(".scratch-" in name for name in store.temporaries()), "it was not at work"
    store.start()
    assert store.folder() == before
