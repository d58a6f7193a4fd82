"""The one transaction that overwrites the live database, while others use it."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from backups.exceptions import (
    NeedsRestartError,
)
from backups.sqlite.format.connection import connect
from backups.sqlite.restores import apply_now_child
from tests.backups import builders
from tests.backups.sqlite.restores.test_apply_now_child import request_for
from tests.backups.sqlite.restores.test_overwrite import MODES, check_still_pending, store_with
from tests.backups.stores import new_store


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
