"""The child of a restore without a restart: it replaces the live content."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import (
    NotEnoughSpaceError,
)
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores import apply_now, apply_now_child
from tests.backups import builders
from tests.backups.sqlite.restores.test_overwrite import MODES, store_with
from tests.backups.stores import Store, insert


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


def test_disk_without_room_for_both_leaves_it_pending(tmp_path: Path) -> None:
    store = store_with(tmp_path, "old")
    with mock.patch.object(files, "free_bytes", return_value=100):
        verdict = apply_now_child.apply(request_for(store))
    with pytest.raises(NotEnoughSpaceError, match="100 are free"):
        apply_now.read_verdict(verdict)
    assert store.items() == ["old"]
    assert store.paths.pending.exists()


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
