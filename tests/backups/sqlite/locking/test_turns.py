"""The limits on snapshots, and on uploads, at once, over threads and processes."""

import gc
import os
import subprocess
import sys
import threading
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import (
    SnapshotFailedError,
    StoreFolderError,
    TooManySnapshotsError,
    TooManyUploadsError,
)
from backups.sqlite.locking import locks
from backups.sqlite.locking.turns import SnapshotInTurn, UploadTurn, take_turn
from backups.sqlite.snapshots import pinned
from tests.backups import builders
from tests.backups.stores import Store, new_store
from tests.processes import CHECKOUT

TAKE_ONE = """
import sys
from pathlib import Path
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking.turns import UploadTurn, take_turn
take = UploadTurn if sys.argv[3] == "upload" else take_turn
held = take(StorePaths.of(Path(sys.argv[1])), at_once=int(sys.argv[2]))
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that lets two snapshots be under way."""
    store = new_store(tmp_path)
    builders.healthy(store.database, "row", journal_mode="wal")
    return replace(store, snapshot_limits=replace(store.snapshot_limits, at_once=2))


@pytest.mark.parametrize("compact", [True, False])
def test_as_many_as_are_allowed_and_not_one_more(store: Store, compact: bool) -> None:
    first = store.real.create_snapshot(compact=compact)
    with (
        store.real.create_snapshot(compact=compact),
        pytest.raises(TooManySnapshotsError, match=r"2 snapshots of tasks\.db are under way"),
    ):
        store.real.create_snapshot(compact=compact)
    first.close()
    first.close()  # a second time gives back nothing of somebody else's
    with (
        store.real.create_snapshot(compact=compact) as one,
        store.real.create_snapshot(compact=compact) as two,
    ):
        assert len(b"".join(one)) == len(b"".join(two)) == one.size


@pytest.mark.parametrize("compact", [True, False])
def test_turn_of_a_snapshot_that_was_dropped_unclosed_is_free(store: Store, compact: bool) -> None:
    for _ in range(3):
        store.real.create_snapshot(compact=compact)  # nobody has it when the next one is taken


def test_turn_of_another_process_counts_and_ends_with_it(store: Store) -> None:
    with (
        take_in_a_process(store) as first,
        take_in_a_process(store) as second,
    ):
        with pytest.raises(TooManySnapshotsError):
            store.real.create_snapshot()
        second.kill()
        second.wait()
        store.real.create_snapshot().close()
        first.kill()


def test_snapshot_that_fails_gives_its_turn_back(store: Store) -> None:
    store.database.unlink()
    for _ in range(3):
        with pytest.raises(SnapshotFailedError):
            store.real.create_snapshot()


def test_turn_is_not_taken_for_somebody_who_is_present(store: Store) -> None:
    turn = take_turn(store.paths, at_once=2)
    descriptor = os.open(store.paths.lock, os.O_RDONLY)
    try:
        assert locks.holders(descriptor) == set()
    finally:
        os.close(descriptor)
        os.close(turn)


def test_lock_file_that_can_only_be_read_refuses_nobody(store: Store) -> None:
    """The folder of a site that may not write there; who may not write has no locks to take."""
    os.close(os.open(store.paths.lock, os.O_CREAT))
    descriptor = os.open(store.paths.lock, os.O_RDONLY)
    try:
        assert all(locks.try_turn(descriptor, 0) for _ in range(3))
    finally:
        os.close(descriptor)


def test_lock_file_that_cannot_be_opened_is_named(store: Store) -> None:
    store.paths.lock.mkdir()
    with pytest.raises(StoreFolderError, match=rf"The lock file {store.paths.lock}"):
        store.real.create_snapshot()


def take_in_a_process(store: Store, what: str = "snapshot") -> "subprocess.Popen[str]":
    """A process that has a turn and keeps it until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_ONE, str(store.database), "2", what],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    return process


def test_snapshot_that_cannot_be_closed_gives_its_turn_back(store: Store) -> None:
    taken = store.real.create_snapshot()
    assert isinstance(taken, SnapshotInTurn)
    with (
        mock.patch.object(type(taken._snapshot), "close", side_effect=RuntimeError("no thread")),
        pytest.raises(RuntimeError),
    ):
        taken.close()
    taken._snapshot.close()
    with ExitStack() as all_turns:
        for _ in range(store.snapshot_limits.at_once):
            all_turns.enter_context(store.real.create_snapshot())


@pytest.mark.timeout(30)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("compact", [True, False])
def test_snapshot_is_collected_while_a_lock_is_held_that_threads_need(
    store: Store, compact: bool
) -> None:
    """
    A response is often in a cycle, so Python collects it in the middle of anything, e.g. of the
    start of a thread: to wait for another thread there would be to wait for ever.
    """
    pinning = replace(store, snapshot_limits=replace(store.snapshot_limits, resume_seconds=60.0))
    taken = pinning.real.create_snapshot(compact=compact, caller="ann")
    chunks = iter(taken)
    next(chunks)
    cycle: list[object] = [taken, chunks]
    cycle.append(cycle)
    gc.disable()
    try:
        del taken, chunks, cycle
        of_threads = getattr(threading, "_shutdown_locks_lock", nullcontext())  # until Python 3.12
        with of_threads, pinned._lock:
            gc.collect()
    finally:
        gc.enable()
    with ExitStack() as all_turns:
        for _ in range(store.snapshot_limits.at_once):
            all_turns.enter_context(store.real.create_snapshot())
    assert store.paths.all_pinned() == []


# Uploads and checks


def test_as_many_uploads_as_are_allowed_and_not_one_more(store: Store) -> None:
    with store.real.take_upload_turn(), store.real.take_upload_turn():
        with pytest.raises(
            TooManyUploadsError, match=r"2 uploads or checks for tasks\.db are under way"
        ) as refused:
            store.real.take_upload_turn()
        assert "BACKUPS_UPLOADS_AT_ONCE" in refused.value.hint
    with store.real.take_upload_turn() as turn:
        turn.__exit__(None, None, None)  # a second time gives back nothing of somebody else's
        with store.real.take_upload_turn(), store.real.take_upload_turn():
            pass


def test_uploads_and_snapshots_take_no_turns_from_each_other(store: Store) -> None:
    with store.real.take_upload_turn(), store.real.take_upload_turn():
        taken = [store.real.create_snapshot() for _ in range(2)]
    with store.real.take_upload_turn(), pytest.raises(TooManySnapshotsError):
        store.real.create_snapshot()
    for each in taken:
        each.close()


def test_turn_of_an_upload_ends_with_its_process(store: Store) -> None:
    with (
        take_in_a_process(store, "upload") as first,
        take_in_a_process(store, "upload") as second,
    ):
        with pytest.raises(TooManyUploadsError):
            store.real.take_upload_turn()
        second.kill()
        second.wait()
        with store.real.take_upload_turn():
            pass
        first.kill()


def test_turn_that_nobody_gave_back_ends_with_the_request(store: Store) -> None:
    for _ in range(3):
        store.real.take_upload_turn()  # nobody has it when the next one is taken


def test_turn_that_is_taken_keeps_no_start_from_being_alone_once_it_is_over(store: Store) -> None:
    with UploadTurn(store.paths, at_once=1):
        pass
    assert store.start() is None


def test_no_lock_file_for_an_upload_is_an_error_of_ours(store: Store) -> None:
    store.paths.lock.mkdir()
    with pytest.raises(StoreFolderError, match=rf"The lock file {store.paths.lock}"):
        store.real.take_upload_turn()
