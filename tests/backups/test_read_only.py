"""A folder that can't be written: nothing changes, and each verb says why."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from backups.exceptions import BackupError
from backups.store import Receipt
from tests.backups import builders
from tests.backups.stores import Store

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """'old' is live and 'new' is pending, in a folder that only its owner may write."""
    folder = Path(tempfile.mkdtemp())  # tmp_path lies below folders that only root may enter
    store = Store(folder / "tasks.db")
    store.stage(builders.healthy(tmp_path / "snapshot.db", "new"))
    builders.healthy(store.database, "old")
    store.real.hold_presence()  # which makes the lock file
    store.real.release_presence()
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    yield store
    folder.chmod(0o755)
    shutil.rmtree(folder)


def told(store: Store, verb: Callable[[Store], object]) -> list[str]:
    """Do this as somebody who may not write there: what it returned, or raised, in words."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        try:
            result = verb(store)
            words = (
                [result.outcome, result.reason] if isinstance(result, Receipt) else [str(result)]
            )
        except BackupError as error:
            words = [error.code, str(error)]
        answers.write(json.dumps(words) + "\n")

    with builders.forked(work) as (_, _, answers):
        words: list[str] = json.loads(answers.readline())
    return words


@pytest.mark.parametrize("has_lock", [True, False], ids=["lock file", "no lock file"])
def test_start_goes_on_with_the_old_data(store: Store, has_lock: bool) -> None:
    if not has_lock:
        store.paths.folder.chmod(0o755)
        store.paths.lock.unlink()
        store.paths.folder.chmod(0o555)
    before = builders.folder(store.paths.folder)
    outcome, reason = told(store, lambda store: store.real.apply_pending_restore())
    assert outcome == "blocked"
    assert str(store.paths.lock) in reason
    assert builders.folder(store.paths.folder) == before


def test_staging_and_discarding_say_why_they_fail(store: Store, tmp_path: Path) -> None:
    content = builders.healthy(tmp_path / "newer.db", "newer").read_bytes()
    before = builders.folder(store.paths.folder)
    for verb in (
        lambda store: store.stage_chunks([content]),
        lambda store: store.real.discard_pending_restore(discarded_by="tester"),
    ):
        code, message = told(store, verb)
        assert code == "store_folder"
        assert str(store.paths.folder) in message
        assert message.endswith("Permission denied.")
        assert builders.folder(store.paths.folder) == before


def test_status_can_be_asked_for(store: Store) -> None:
    (words,) = told(store, lambda store: store.real.get_status().pending)
    assert "staged_by='tester'" in words
