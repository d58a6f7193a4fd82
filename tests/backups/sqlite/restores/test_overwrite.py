"""Writing a snapshot into the live database file: while others use it, or where no rename works."""

import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import (
    NeedsRestartError,
)
from tests.backups import builders
from tests.backups.stand_ins import mount_point
from tests.backups.stores import Store, new_store

MODES = ("wal", "delete")


def store_with(tmp_path: Path, *names: str, journal_mode: str = "wal") -> Store:
    """A live database with these rows, and a pending restore with 'new'."""
    store = new_store(tmp_path)
    builders.healthy(store.database, *names, journal_mode=journal_mode)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    return store


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


def test_ruined_database_needs_a_restart(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.ruined(store.database)
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    with pytest.raises(NeedsRestartError, match="can't be read"):
        store.apply_now()
    assert store.paths.pending.exists()


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
