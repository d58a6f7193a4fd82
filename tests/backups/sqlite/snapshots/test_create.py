"""Snapshots of a database that is in use."""

import errno
import hashlib
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import NotEnoughSpaceError, SnapshotFailedError, StoreFolderError
from backups.sqlite.records.sent_snapshots import was_sent
from backups.sqlite.snapshots import compact
from backups.sqlite.snapshots import create as snapshot_module
from backups.sqlite.store import SqliteBackupStore
from tests.backups import builders
from tests.backups.stand_ins import Steps, counted, refuse_with
from tests.backups.stores import Store, insert, new_store


def items_of(snapshot: bytes, tmp_path: Path) -> list[str]:
    """What is in it, read from a file without any sidecar."""
    (tmp_path / "taken.db").write_bytes(snapshot)
    return builders.names(tmp_path / "taken.db")


def interrupted(store: Store, step: Callable[[], int]) -> SqliteBackupStore:
    """The store, whose connections do this now and then while SQLite works."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(store.database, isolation_level=None)
        connection.execute("SELECT count(*) FROM items").fetchone()
        connection.set_progress_handler(step, 5_000)
        return connection

    real = store.real
    real._connect = connect
    return real


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_snapshot_to_store_knows_what_is_in_it(journal_mode: str, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "one", "two", journal_mode=journal_mode)
    with store.real.create_snapshot(compact=False, to_store=True) as snapshot:
        content = b"".join(snapshot)
    assert snapshot.inventory is not None
    assert snapshot.inventory.rows["items"] == 2
    assert items_of(content, tmp_path) == ["one", "two"]
    assert not list(tmp_path.rglob("*spool*"))


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_snapshot_holds_what_was_committed_before_it(journal_mode: str, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "before", journal_mode=journal_mode)
    snapshot = store.snapshot()
    insert(store.database, "after")
    assert items_of(snapshot, tmp_path) == ["before"]


def test_snapshot_includes_rows_still_in_the_wal(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "in the WAL", in_main=("in the main file",))
    assert items_of(store.snapshot(), tmp_path) == ["in the main file", "in the WAL"]


def test_snapshot_leaves_out_an_open_transaction(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "committed", journal_mode="wal")
    with closing(sqlite3.connect(store.database)) as writer:
        writer.execute("INSERT INTO items (name) VALUES ('not committed')")
        assert items_of(store.snapshot(), tmp_path) == ["committed"]
        writer.commit()


def test_snapshot_is_one_file_that_needs_no_wal(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "row")
    (tmp_path / "taken.db").write_bytes(store.snapshot())
    assert builders.journal_mode(tmp_path / "taken.db") == "delete"


def test_snapshot_is_compact(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database)
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("DELETE FROM owners")
        connection.commit()
    snapshot = store.snapshot()
    assert len(snapshot) < 100_000 < store.database.stat().st_size
    assert b"0" * 200 not in snapshot, "remains of deleted rows"


def test_size_is_known_before_the_first_byte_and_time_is_in_utc(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database)
    with store.real.create_snapshot() as snapshot:
        pieces = list(snapshot)
        assert snapshot.size == sum(map(len, pieces))
        assert max(map(len, pieces)) == files.CHUNK_BYTES < snapshot.size
        assert snapshot.taken_at.utcoffset() is not None
    snapshot.close()


def test_snapshot_has_no_name_any_more_when_it_is_handed_out(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "row")
    before = store.folder()
    with store.real.create_snapshot() as snapshot:
        assert store.folder() == before
        assert b"".join(snapshot).startswith(b"SQLite format 3")
    assert store.listing() - before.keys() == {store.paths.sent.name}


def test_snapshot_is_remembered_as_sent_when_it_was_read_to_its_end(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database)
    with store.real.create_snapshot(compact=True) as snapshot:
        next(iter(snapshot))
    assert not store.paths.sent.exists()
    taken = store.snapshot(compact=True)
    sha256 = hashlib.sha256(taken).hexdigest()
    assert was_sent(store.paths, sha256=sha256, size=len(taken))


def test_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database)
    modes: set[int] = set()

    def look() -> int:
        modes.update(path.stat().st_mode & 0o777 for path in store.paths.temporaries())
        return 0

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(store.database, isolation_level=None)
        connection.set_progress_handler(look, 10_000)
        return connection

    real = store.real
    real._connect = connect
    real.create_snapshot().close()
    assert modes == {0o600}


def test_writers_go_on_while_a_snapshot_is_taken(tmp_path: Path) -> None:
    """A process commits one row after another, each on request, in the middle of the copy."""
    store = new_store(tmp_path)
    builders.large(store.database, "before")
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")

    def write(requests: IO[str], answers: IO[str]) -> None:
        with closing(sqlite3.connect(store.database, timeout=0)) as connection:
            for line in requests:
                builders.add(connection, line.strip())
                print("committed", file=answers)

    with builders.forked(write) as (_, requests, answers):
        written: list[str] = []

        def let_it_write() -> int:
            written.append(f"during {len(written)}")
            print(written[-1], file=requests)
            assert answers.readline() == "committed\n"
            return 0

        with interrupted(store, let_it_write).create_snapshot() as snapshot:
            taken = items_of(b"".join(snapshot), tmp_path)
    assert len(written) > 3
    assert taken == ["before", *written[: len(taken) - 1]], "as it was between two commits"
    assert len(taken) < 1 + len(written)
    assert store.items() == ["before", *written]


# In another mode than WAL


@pytest.fixture
def copied() -> Iterator[None]:
    """However small, a database is copied before it is compacted."""
    with mock.patch.object(compact, "COPIED_FROM", 0):
        yield


def plainly_compacted(store: Store, tmp_path: Path) -> bytes:
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "plain.db"),))
    return (tmp_path / "plain.db").read_bytes()


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("pragma", ["auto_vacuum=FULL", "encoding='UTF-16le'", "page_size=512"])
def test_snapshot_of_a_copy_is_what_sqlite_makes_of_the_database(
    pragma: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.with_format(store.database, f"PRAGMA {pragma}", "row")
    before = store.folder()
    with store.real.create_snapshot() as snapshot:
        assert store.folder() == before
        assert b"".join(snapshot) == plainly_compacted(store, tmp_path)
        assert snapshot.method == "compact"


@pytest.mark.usefixtures("copied")
def test_writers_wait_for_the_copy_and_not_for_the_compacting(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database, "before")
    written: list[str] = []

    def let_another_write() -> int:
        if not written:
            with closing(sqlite3.connect(store.database, timeout=0)) as writer:
                builders.add(writer, "meanwhile")
            written.append("meanwhile")
        return 0

    with interrupted(store, let_another_write).create_snapshot() as snapshot:
        assert items_of(b"".join(snapshot), tmp_path) == ["before"]
    assert store.items() == ["before", "meanwhile"]


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("obstacle", ["no room", "no process"])
def test_database_that_can_not_be_copied_is_compacted_as_it_is(
    obstacle: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.large(store.database, "row")
    free = store.database.stat().st_size * 3 // 2
    patches = {
        "no room": mock.patch.object(files, "free_bytes", return_value=free),
        "no process": mock.patch.object(
            compact, "run_module", return_value=mock.Mock(stdout=b"", stderr=b"killed")
        ),
    }
    with patches[obstacle]:
        assert items_of(store.snapshot(), tmp_path) == ["row"]
    assert not store.temporaries()


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_log_says_how_long_writers_had_to_wait(
    compact: bool, journal_mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "row", journal_mode=journal_mode)
    with mock.patch.object(snapshot_module, "LONG_WAIT", 1e-9):
        store.snapshot(compact=compact)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [str(store.database) in warning for warning in warnings] == (
        [True] if journal_mode == "delete" else []
    )


# What fails


def test_ruined_database_fails_and_leaves_no_file(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.scribbled_page(store.database)
    with store.database.open("r+b") as content:
        content.seek(builders.PAGE_BYTES)
        content.write(b"\xff" * 4 * builders.PAGE_BYTES)
    before = store.folder()
    with pytest.raises(SnapshotFailedError, match="SQLite could not take a snapshot"):
        store.snapshot()
    assert store.folder() == before


def test_full_disk_is_told_with_numbers_before_anything_is_written(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.large(store.database)
    before = store.folder()
    with (
        mock.patch.object(files, "free_bytes", return_value=1000),
        pytest.raises(NotEnoughSpaceError, match="1,000 are free") as caught,
    ):
        store.snapshot()
    assert caught.value.free_bytes == 1000 < caught.value.needed_bytes
    assert store.folder() == before


def test_disk_that_fills_up_in_the_middle_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    class FillsUp(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("VACUUM"):
                self.execute("PRAGMA max_page_count=1")
                sql, parameters = "CREATE TABLE too_much (id)", ()
            return super().execute(sql, *parameters)

    store = new_store(tmp_path)
    builders.large(store.database)
    before = store.folder()
    real = store.real
    real._connect = lambda: sqlite3.connect(store.database, isolation_level=None, factory=FillsUp)
    with pytest.raises(NotEnoughSpaceError, match="are free"):
        real.create_snapshot()
    assert store.folder() == before


def test_write_that_fails_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    """No file of this process may grow past a limit, so a write is refused by the system."""
    store = new_store(tmp_path)
    builders.large(store.database)
    before = store.folder()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024**2, limits[1]))
    try:
        with pytest.raises(SnapshotFailedError, match="SQLite could not take a snapshot"):
            store.snapshot()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.folder() == before


def test_folder_that_refuses_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "row")
    before = store.folder()
    with (
        counted(Steps(refuse_with(errno.EACCES), at=4)) as steps,  # after SQLite's page counts
        pytest.raises(StoreFolderError, match="Permission denied"),
    ):
        store.snapshot()
    assert steps.failed == ["create_private"]
    assert store.folder() == before
