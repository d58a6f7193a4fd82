"""Writing a snapshot into the live database file: while others use it, or where no rename works."""

import errno
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import (
    NeedsRestartError,
    NoPendingRestoreError,
    NotEnoughSpaceError,
    RestoreRefusedError,
)
from backups.processes import spawn
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import connect
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores import apply_now, apply_now_child
from tests.backups import builders
from tests.backups.stand_ins import mount_point
from tests.backups.stores import Store, insert, new_store

MODES = ("wal", "delete")


def store_with(tmp_path: Path, *names: str, journal_mode: str = "wal") -> Store:
    """A live database with these rows, and a pending restore with 'new'."""
    store = new_store(tmp_path)
    builders.healthy(store.database, *names, journal_mode=journal_mode)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    return store


def request_for(store: Store) -> dict[str, Any]:
    """What the parent asks of the child."""
    return {
        "database": str(store.paths.database),
        "sha256": files.sha256(store.paths.pending),
        "seconds": 5,
        "applied_by": "alice",
        "keeping": {"copies": 3, "days": 7},
        "floor": 0,
    }


# While others use it


@pytest.mark.parametrize("journal_mode", MODES)
def test_open_connections_see_the_new_content_at_once(journal_mode: str, tmp_path: Path) -> None:
    store = store_with(tmp_path, "old", journal_mode=journal_mode)
    query = "SELECT name FROM items"
    with closing(sqlite3.connect(store.database, isolation_level=None)) as other:
        assert other.execute(query).fetchall() == [("old",)]
        receipt = store.apply_now()
        assert other.execute(query).fetchall() == [("new",)]
        other.execute("INSERT INTO items (name) VALUES ('after')")
    assert store.items() == ["new", "after"]
    assert builders.journal_mode(store.database) == journal_mode
    (kept,) = store.kept()
    assert builders.names(kept) == ["old"]
    assert (receipt.outcome, receipt.by, receipt.kept) == ("applied", "alice", kept.name)
    assert store.real.list_receipts()[0] == receipt
    assert store.outcomes() == ["staged", "applied"]
    assert not store.paths.pending.exists()
    assert not store.paths.manifests()
    assert store.temporaries() == []
    assert store.start() is None, "there is nothing left to apply"
    assert store.items() == ["new", "after"]


def test_kept_copy_is_one_file_with_the_rows_of_the_wal(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "in the wal only")
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    with closing(sqlite3.connect(store.database)) as other:
        other.execute("SELECT * FROM items").fetchall()
        store.apply_now()
    (kept,) = store.kept()
    assert builders.journal_mode(kept) == "delete"
    assert builders.names(kept) == ["in the wal only"]
    assert kept.stat().st_mode == store.database.stat().st_mode
    wal = store.paths.sidecars[0]
    assert not wal.exists() or wal.stat().st_size == 0, "it had grown by a whole database"


def test_transaction_that_is_open_goes_on_with_what_it_saw(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with closing(sqlite3.connect(store.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT name FROM items").fetchall() == [("old",)]
        store.apply_now()
        assert reader.execute("SELECT name FROM items").fetchall() == [("old",)]
        reader.execute("COMMIT")
        assert reader.execute("SELECT name FROM items").fetchall() == [("new",)]


def test_nothing_pending_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoPendingRestoreError):
        new_store(tmp_path).apply_now()


def test_process_that_holds_no_presence_needs_a_restart(tmp_path: Path) -> None:
    """A start that takes itself for alone would replace the file under our hands."""
    store = store_with(tmp_path, "old")
    with pytest.raises(NeedsRestartError, match="can't tell others"):
        store.real.apply_now(applied_by="alice")
    assert store.items() == ["old"]


def test_file_that_was_replaced_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")

    def replaced_after(path: Path, **options: Any) -> sqlite3.Connection:
        connection = connect(path, **options)
        if path == store.paths.database and not store.kept():
            connection.execute("SELECT * FROM items").fetchall()
            kept = store.paths.beside(".pre-restore-20200101-000000")
            os.link(path, kept)
            os.replace(builders.healthy(tmp_path / "other.db", "other"), path)
        return connection

    with mock.patch("backups.sqlite.restores.overwrite_transaction.connect", replaced_after):
        verdict = apply_now_child.apply(request_for(store))
    assert "has just been replaced" in verdict["error"]
    assert builders.names(store.kept()[0]) == ["old"]
    assert store.items() == ["other"]


def check_still_pending(store: Store, *names: str) -> None:
    assert store.paths.pending.exists()
    assert store.kept() == []
    assert store.temporaries() == []
    assert store.outcomes() == ["staged", "blocked"]
    assert store.items() == list(names)
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert store.items() == ["new"]
    assert [builders.names(kept) for kept in store.kept()] == [list(names)]


def test_snapshot_that_needs_migrations_needs_a_restart(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode="wal")
    store.stage(builders.older(tmp_path / "older.db", "new"))
    with pytest.raises(NeedsRestartError, match=r"1 migration: shop.0002_prices"):
        store.apply_now()
    check_still_pending(store, "old")


FORMATS = {
    "page_size": "PRAGMA page_size=8192",
    "encoding": "PRAGMA encoding='UTF-16le'",
    "auto_vacuum": "PRAGMA auto_vacuum=FULL",
}


@pytest.mark.parametrize("journal_mode", MODES)
@pytest.mark.parametrize("name", FORMATS)
def test_snapshot_of_another_format_needs_a_restart(
    name: str, journal_mode: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode=journal_mode)
    store.stage(builders.with_format(tmp_path / "other.db", FORMATS[name], "new"))
    with pytest.raises(NeedsRestartError, match=f"has the {name} "):
        store.apply_now()
    check_still_pending(store, "old")


@pytest.mark.parametrize("journal_mode", MODES)
def test_writer_that_never_lets_go_needs_a_restart(journal_mode: str, tmp_path: Path) -> None:
    store = store_with(tmp_path, "old", journal_mode=journal_mode)
    store.live_seconds = 0.5
    with closing(sqlite3.connect(store.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO items (name) VALUES ('under way')")
        with pytest.raises(NeedsRestartError, match=r"did not release .* within 0.5 seconds"):
            store.apply_now()
        writer.execute("COMMIT")
    check_still_pending(store, "old", "under way")


def test_ruined_database_needs_a_restart(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.ruined(store.database)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    with pytest.raises(NeedsRestartError, match="can't be read"):
        store.apply_now()
    assert store.paths.pending.exists()


def test_disk_without_room_for_both_leaves_it_pending(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with mock.patch.object(files, "free_bytes", return_value=100):
        verdict = apply_now_child.apply(request_for(store))
    with pytest.raises(NotEnoughSpaceError, match="100 are free"):
        apply_now.read_verdict(verdict)
    assert store.items() == ["old"]
    assert store.paths.pending.exists()


def test_file_that_is_not_what_was_staged_is_set_aside(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with store.paths.pending.open("r+b") as pending:
        pending.write(b"scribbled")
    with pytest.raises(RestoreRefusedError, match="not the file that was staged"):
        store.apply_now()
    assert store.items() == ["old"]
    assert len(store.refused()) == 1
    assert store.outcomes() == ["staged", "refused"]


def test_every_commit_is_in_the_kept_copy_or_after_the_restore(tmp_path: Path) -> None:
    """A writer that never stops: no commit falls between the kept copy and the new content."""
    store = store_with(tmp_path, "old")
    written: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(store.database, timeout=30, isolation_level=None)) as own:
            while not stop.is_set():
                name = f"row {len(written)}"
                own.execute("INSERT INTO items (name) VALUES (?)", (name,))
                written.append(name)

    with started(write, stop):
        while len(written) < 50:
            stop.wait(0.001)
        store.apply_now()
    kept = [name for copy in store.kept() for name in builders.names(copy)]
    after = store.items()
    assert "new" in after
    assert set(written) <= set(kept) | set(after)
    assert len(kept) + len(after) == len(written) + 2, "a row is in both"


@contextmanager
def started(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# Killed


def test_child_that_is_killed_before_the_commit_changes_nothing(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with (
        module_instead("apply_now_child.apply = lambda _: os.kill(os.getpid(), 9)", tmp_path),
        pytest.raises(NeedsRestartError, match=r"ended with signal 9.*Nothing was changed"),
    ):
        store.apply_now()
    check_still_pending(store, "old")


def test_child_that_does_not_start_leaves_the_restore_pending(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with (
        module_instead("raise ImportError('no such thing')", tmp_path),
        pytest.raises(NeedsRestartError, match=r"no such thing\. Nothing was changed\.") as caught,
    ):
        store.apply_now()
    assert "restart the server to apply it" in caught.value.hint
    check_still_pending(store, "old")


def test_each_try_that_somebody_asked_for_has_a_receipt(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode="wal")
    store.stage(builders.older(tmp_path / "snapshot.db", "new"))
    for _ in range(2):
        with pytest.raises(NeedsRestartError):
            store.apply_now()
    assert [receipt["outcome"] for receipt in store.receipts()] == ["staged", "blocked", "blocked"]


def test_schema_that_changes_after_a_try_does_not_look_as_if_the_try_had_come_through(
    tmp_path: Path,
) -> None:
    """The child died with its manifest marked; the site goes on, and somebody migrates."""
    store = store_with(tmp_path, "old")
    die_at_the_mark = """
from backups.sqlite.records.manifest import Manifest
write = Manifest.write
def write_and_die(manifest, paths):
    write(manifest, paths)
    os.kill(os.getpid(), 9)
Manifest.write = write_and_die
"""
    with module_instead(die_at_the_mark, tmp_path), pytest.raises(NeedsRestartError):
        store.apply_now()
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("CREATE TABLE later (id)")  # the version that the commit would have set
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert store.items() == ["new"]


def test_child_that_is_killed_after_the_commit_is_concluded(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    die_after = "apply_now_child.conclude = lambda *a, **k: os.kill(os.getpid(), 9)"
    with module_instead(die_after, tmp_path):
        receipt = store.apply_now()
    assert (receipt.outcome, receipt.kept) == ("applied", store.kept()[0].name)
    assert store.items() == ["new"]
    assert not store.paths.pending.exists()


@pytest.mark.parametrize("journal_mode", MODES)
def test_kill_after_the_commit_is_concluded_by_the_next_start(
    journal_mode: str, tmp_path: Path
) -> None:
    """The whole tree is killed. What was written after the commit must not be replaced again."""
    store = store_with(tmp_path, "old", journal_mode=journal_mode)
    with mock.patch.object(apply_now_child, "conclude", lambda paths, receipt, **_: receipt):
        apply_now_child.apply(request_for(store))
    assert store.paths.pending.exists()
    insert(store.database, "written after the commit")
    receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.kept) == ("applied", store.kept()[0].name)
    assert store.items() == ["new", "written after the commit"]
    assert not store.paths.pending.exists()
    assert not store.paths.manifests()
    assert len(store.kept()) == 1


def test_kill_before_the_commit_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    """Its manifest is marked, the transaction was rolled back, and the schema changes later."""
    store = store_with(tmp_path, "old")

    def killed(requests: IO[str], answers: IO[str]) -> None:
        write = Manifest.write

        def write_and_die(manifest: Manifest, paths: StorePaths) -> None:
            write(manifest, paths)
            if manifest.overwrites is not None:
                os._exit(0)

        with mock.patch.object(Manifest, "write", write_and_die):
            apply_now_child.apply(request_for(store))

    with builders.forked(killed) as (_, _, answers):
        answers.read()
    with mock.patch.object(files, "sync_file", side_effect=OSError(errno.EIO, "broken disk")):
        blocked = store.start()
    assert blocked is not None
    assert blocked.outcome == "blocked"
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("CREATE TABLE later (id)")  # the version that the commit would have set
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert store.items() == ["new"]
    assert [builders.names(kept) for kept in store.kept()] == [["old"], ["old"]]


# Where no rename works


STATES: dict[str, Callable[[Path], object]] = {
    "clean": lambda live: builders.healthy(live, "old"),
    "hot WAL": lambda live: builders.hot_wal(live, "old"),
    "hot journal": lambda live: builders.hot_journal(live, "old"),
    "zero bytes": builders.empty,
    "ruined": builders.ruined,
}


@pytest.mark.parametrize("page_size", [4096, 8192])
@pytest.mark.parametrize("state", STATES)
def test_mounted_file_is_overwritten(state: str, page_size: int, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.stage(
        builders.with_format(tmp_path / "snapshot.db", f"PRAGMA page_size={page_size}", "new")
    )
    STATES[state](store.database)
    inode, before = store.database.stat().st_ino, store.database.read_bytes()
    with mount_point():
        receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.reason) == ("applied", "")
    assert store.database.stat().st_ino == inode
    assert store.items() == ["new"]
    assert not store.paths.pending.exists()
    assert store.listing() == {
        "tasks.db",
        "tasks.db.restore-receipts.jsonl",
        *(kept.name for kept in store.kept()),
    }
    if state == "zero bytes":
        assert store.kept() == []
    elif state == "ruined":
        assert (store.kept()[0] / "tasks.db").read_bytes() == before
    else:
        assert [builders.names(kept) for kept in store.kept()] == [["old"]]
    assert receipt.kept == (store.kept()[0].name if store.kept() else None)


@pytest.mark.parametrize("of_snapshot", MODES)
@pytest.mark.parametrize("mode", MODES)
def test_mounted_file_stays_in_its_journal_mode(
    mode: str, of_snapshot: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode=mode)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new", journal_mode=of_snapshot))
    with mount_point():
        assert store.start() is not None
    assert (store.items(), builders.journal_mode(store.database)) == (["new"], mode)


@pytest.mark.parametrize("of_snapshot", MODES)
@pytest.mark.parametrize("mode", MODES)
def test_apply_now_stays_in_the_journal_mode_of_the_live_database(
    mode: str, of_snapshot: str, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode=mode)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new", journal_mode=of_snapshot))
    store.apply_now()
    assert (store.items(), builders.journal_mode(store.database)) == (["new"], mode)


def test_mounted_file_that_cannot_be_written_goes_on(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with mount_point(), mock.patch.object(files, "copy", side_effect=OSError(errno.ENOSPC, "full")):
        receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "blocked"
    assert "full" in receipt.reason
    assert store.items() == ["old"]
    assert store.kept() == []
    assert store.temporaries() == []
    assert store.paths.pending.exists()


@contextmanager
def module_instead(program: str, folder: Path) -> Iterator[None]:
    """Let the child run this program before its work, which it may change."""
    (folder / "child_instead.py").write_text(
        "import os\nfrom backups.sqlite.restores import apply_now_child\n"
        f"{program}\nmain = apply_now_child.main\n"
    )
    real = spawn.run_module

    def run(_: str, request: str, *, seconds: float, inherit: tuple[int, ...]) -> Any:
        with mock.patch("sys.path", [str(folder), *sys.path]):
            return real("child_instead", request, seconds=seconds, inherit=inherit)

    with mock.patch("backups.sqlite.restores.apply_now.run_module", run):
        yield
