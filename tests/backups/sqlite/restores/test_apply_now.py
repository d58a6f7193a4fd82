"""A restore without a restart, as its parent process does it."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from backups.exceptions import (
    NeedsRestartError,
    NoPendingRestoreError,
    RestoreRefusedError,
)
from backups.processes import spawn
from tests.backups import builders
from tests.backups.sqlite.restores.test_overwrite import MODES, check_still_pending, store_with
from tests.backups.stores import new_store


def test_nothing_pending_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoPendingRestoreError):
        new_store(tmp_path).apply_now()


def test_process_that_holds_no_presence_needs_a_restart(tmp_path: Path) -> None:
    """A start that believes it is alone would replace the file while it is in use."""
    store = store_with(tmp_path, "old")
    with pytest.raises(NeedsRestartError, match="can't tell others"):
        store.real.apply_now(applied_by="alice")
    assert store.items() == ["old"]


def test_snapshot_that_needs_migrations_needs_a_restart(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode="wal")
    store.stage(builders.older(tmp_path / "older.db", "new"))
    with pytest.raises(NeedsRestartError, match=r"1 migration: shop.0002_prices"):
        store.apply_now()
    check_still_pending(store, "old")


def test_file_that_is_not_what_was_staged_is_set_aside(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with store.paths.pending.open("r+b") as pending:
        pending.write(b"scribbled")
    with pytest.raises(RestoreRefusedError, match="not the file that was staged"):
        store.apply_now()
    assert store.items() == ["old"]
    assert len(store.refused()) == 1
    assert store.outcomes() == ["staged", "refused"]


def test_each_try_that_somebody_asked_for_has_a_receipt(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old", journal_mode="wal")
    store.stage(builders.older(tmp_path / "snapshot.db", "new"))
    for _ in range(2):
        with pytest.raises(NeedsRestartError):
            store.apply_now()
    assert [receipt["outcome"] for receipt in store.receipts()] == ["staged", "blocked", "blocked"]


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
