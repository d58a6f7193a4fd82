"""The pending file: how it gets its name, and how it loses it."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path
from unittest import mock

import pytest

from backups import exceptions
from backups.disk import files
from backups.sqlite.records.manifest import find_manifest
from tests.backups import builders
from tests.backups.sqlite.restores.test_stage import check_pair
from tests.backups.stand_ins import Steps, counted, refuse_with, without_hard_links
from tests.backups.stores import Store


def test_newer_upload_replaces_the_pending_one(
    store: Store, snapshot: Path, tmp_path: Path
) -> None:
    store.stage(snapshot, staged_by="alice")
    newer = builders.healthy(tmp_path / "newer.db", "newer")
    pending = store.stage(newer, staged_by="bob")
    assert store.paths.pending.read_bytes() == newer.read_bytes()
    assert check_pair(store).staged_by == "bob"
    assert store.real.get_status().pending == pending


def test_same_file_staged_again_is_the_later_one_s(store: Store, snapshot: Path) -> None:
    store.stage(snapshot, staged_by="alice")
    store.stage(snapshot, staged_by="bob")
    assert check_pair(store).staged_by == "bob"


def test_sidecars_that_a_program_left_beside_the_pending_file_are_not_the_new_one_s(
    store: Store, snapshot: Path, tmp_path: Path
) -> None:
    """Somebody looked into the pending file with a program that was killed."""
    store.stage(builders.healthy(tmp_path / "looked at.db", "looked at"))

    def edit() -> sqlite3.Connection:
        connection = sqlite3.connect(store.paths.pending)
        connection.execute("PRAGMA journal_mode=WAL")
        builders.add(connection, "edited by hand")
        return connection

    builders.in_killed_process(edit)
    assert store.paths.pending_sidecars[0].stat().st_size > 0
    store.stage(snapshot)
    assert not any(sidecar.exists() for sidecar in store.paths.pending_sidecars)
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied", receipt.reason
    assert store.items() == ["new"]


@pytest.mark.parametrize("earlier", [False, True], ids=["nothing before", "another before"])
@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links"])
def test_staging_that_cannot_be_synced_leaves_what_was_pending(
    earlier: bool, has_links: bool, store: Store, snapshot: Path, tmp_path: Path
) -> None:
    before = store.stage(builders.healthy(tmp_path / "earlier.db", "earlier")) if earlier else None
    with contextlib.ExitStack() as stack:
        if not has_links:
            stack.enter_context(without_hard_links())
        real, calls = files.sync_folder, []

        def fails_after_the_rename(folder: Path) -> None:
            calls.append(folder)
            if len(calls) == 2:  # the first is the manifest's
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(folder)

        stack.enter_context(mock.patch.object(files, "sync_folder", fails_after_the_rename))
        with pytest.raises(exceptions.StoreFolderError, match="Input/output error"):
            store.stage(snapshot)
    if earlier and not has_links:  # there is no way back to it, and something has to be pending
        assert store.paths.pending.read_bytes() == snapshot.read_bytes()
        assert find_manifest(store.paths) is not None
    else:
        assert store.real.get_status().pending == before
    assert store.temporaries() == []
    assert store.outcomes() == ["staged"] * earlier


def test_discarding_leaves_the_live_database_untouched(store: Store, snapshot: Path) -> None:
    before = store.folder()
    staged = store.stage(snapshot)
    assert store.real.discard_pending_restore(discarded_by="tester") == staged
    after = store.folder()
    del after[store.paths.receipts.name]
    assert after == before
    assert store.real.get_status().pending is None


def test_discarding_nothing_is_an_error(store: Store) -> None:
    with pytest.raises(exceptions.NoPendingRestoreError):
        store.real.discard_pending_restore(discarded_by="tester")


def test_discard_that_fails_leaves_it_pending(store: Store, snapshot: Path) -> None:
    staged = store.stage(snapshot)
    with (
        counted(Steps(refuse_with(errno.EACCES), at=1)),
        pytest.raises(exceptions.StoreFolderError, match="Permission denied"),
    ):
        store.real.discard_pending_restore(discarded_by="tester")
    assert store.real.get_status().pending == staged
    check_pair(store)


def test_discard_that_cannot_be_synced_leaves_it_pending(store: Store, snapshot: Path) -> None:
    staged = store.stage(snapshot)
    with (
        mock.patch.object(files, "sync_folder", side_effect=OSError(errno.EIO, "broken disk")),
        pytest.raises(exceptions.StoreFolderError, match="broken disk"),
    ):
        store.real.discard_pending_restore(discarded_by="tester")
    assert store.real.get_status().pending == staged
    assert store.temporaries() == []
    assert store.outcomes() == ["staged"]


def test_every_stage_and_discard_is_recorded(store: Store, snapshot: Path) -> None:
    staged = store.stage(snapshot, staged_by="alice")
    store.real.discard_pending_restore(discarded_by="bob")
    discarded, first = store.real.list_receipts()
    assert (first.outcome, first.by, first.sha256) == ("staged", "alice", staged.sha256)
    assert (first.at, first.size) == (staged.staged_at, staged.size)
    assert first.seconds > 0
    assert (discarded.outcome, discarded.by, discarded.staged_by) == ("discarded", "bob", "alice")
    assert discarded.sha256 == staged.sha256
    assert discarded.id != first.id
