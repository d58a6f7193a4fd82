"""A checked snapshot that waits: it becomes pending as a whole, or leaves nothing."""

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from backups.exceptions import BackupError, NotADatabaseError, StoreFolderError
from backups.sqlite.records.sent_snapshots import record_sent
from backups.store import Prepared
from tests.backups import builders
from tests.backups.stand_ins import Steps, counted, refuse_with
from tests.backups.stores import MAX_BYTES, Store, chunks, new_snapshot, new_store


@contextmanager
def preparing(store: Store, snapshot: Path) -> Iterator[Prepared]:
    content = chunks(snapshot.read_bytes())
    with store.real.prepare_restore(content, staged_by="ann", max_bytes=MAX_BYTES) as prepared:
        yield prepared


def test_one_that_is_not_staged_leaves_nothing(store: Store, snapshot: Path) -> None:
    before = store.folder()
    with preparing(store, snapshot) as prepared:
        assert prepared.pending.staged_by == "ann"
        assert len(store.temporaries()) == 1
        assert store.real.get_status().pending is None
        assert store.real.sweep() == []  # it has an owner
    assert store.folder() == before


def test_one_that_is_staged_stays(store: Store, snapshot: Path) -> None:
    with preparing(store, snapshot) as prepared:
        moment = datetime.now(UTC)
        staged = prepared.stage(staged_by="ben")
        assert store.real.get_status().pending == staged
    assert store.real.get_status().pending == staged
    assert store.paths.pending.read_bytes() == snapshot.read_bytes()
    assert staged.staged_by == "ben"
    assert staged.staged_at >= moment, "not when it was checked"
    assert [each["by"] for each in store.receipts()] == ["ben"]
    assert store.temporaries() == []


def test_time_that_it_waits_is_no_time_that_it_takes(
    store: Store, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.sqlite.restores import prepared as module

    clock = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)  # type: ignore[attr-defined]
    with preparing(store, snapshot) as prepared:
        clock = 1000.0
        prepared.stage()
    assert store.receipts()[0]["seconds"] == 0.0


def test_newer_one_that_waits_replaces_an_older_one_only_once_it_is_staged(
    store: Store, snapshot: Path, tmp_path: Path
) -> None:
    store.stage(builders.healthy(tmp_path / "earlier.db", "earlier"))
    with preparing(store, snapshot) as prepared:
        assert builders.names(store.paths.pending) == ["earlier"]
        prepared.stage()
    assert store.paths.pending.read_bytes() == snapshot.read_bytes()


def test_two_wait_and_the_last_one_that_is_staged_stays(
    store: Store, snapshot: Path, tmp_path: Path
) -> None:
    other = builders.healthy(tmp_path / "other.db", "other")
    with preparing(store, snapshot) as one, preparing(store, other) as two:
        two.stage()
        one.stage()
    assert store.paths.pending.read_bytes() == snapshot.read_bytes()
    assert len(store.paths.manifests()) == 1


def test_staging_it_twice_is_an_error_and_it_stays_pending(store: Store, snapshot: Path) -> None:
    with preparing(store, snapshot) as prepared:
        prepared.stage()
        with pytest.raises(StoreFolderError):
            prepared.stage()
    assert store.paths.pending.read_bytes() == snapshot.read_bytes()
    assert store.start() is not None
    assert store.outcomes() == ["staged", "applied"]


def test_one_whose_file_was_removed_by_hand_is_not_staged(store: Store, snapshot: Path) -> None:
    before = store.folder()
    with preparing(store, snapshot) as prepared:
        os.unlink(store.paths.folder / store.temporaries()[0])
        with pytest.raises(StoreFolderError, match="is gone"):
            prepared.stage()
    assert store.folder() == before


def test_rows_are_those_that_the_next_start_will_find(store: Store, tmp_path: Path) -> None:
    snapshot = builders.with_sessions(tmp_path / "sessions.db", "one", "two")
    with preparing(store, snapshot) as prepared:
        assert prepared.rows["sessions"] == 0
        emptied = [table for table in prepared.rows if prepared.is_emptied(table)]
    assert emptied == ["sessions"]


def test_one_that_was_sent_says_when(store: Store, snapshot: Path) -> None:
    content = snapshot.read_bytes()
    with preparing(store, snapshot) as prepared:
        assert prepared.taken_at is None
        sha256 = prepared.pending.sha256
    record_sent(store.paths, sha256=sha256, size=len(content))
    with preparing(store, snapshot) as prepared:
        assert prepared.taken_at is not None
        assert datetime.now(UTC) - prepared.taken_at < timedelta(minutes=1)


@pytest.mark.parametrize("at", ["7", "null", '"yesterday"', '"9999-12-31T23:59:59-14:00"'])
def test_time_that_is_none_was_written_by_hand(at: str, store: Store, snapshot: Path) -> None:
    with preparing(store, snapshot) as prepared:
        sha256, size = prepared.pending.sha256, prepared.pending.size
    store.paths.sent.write_text(f'{{"at": {at}, "sha256": "{sha256}", "size": {size}}}\n')
    with preparing(store, snapshot) as prepared:
        assert prepared.taken_at is None


def test_it_says_once_that_all_has_come(store: Store, snapshot: Path) -> None:
    said = list[str]()

    def content() -> Iterator[bytes]:
        yield from chunks(snapshot.read_bytes())
        said.append("sent")

    with store.real.prepare_restore(
        content(),
        staged_by="ann",
        max_bytes=MAX_BYTES,
        on_received=lambda: said.append("received"),
    ):
        assert said == ["sent", "received"]


def test_refused_one_leaves_nothing(store: Store, tmp_path: Path) -> None:
    before = store.folder()
    with pytest.raises(NotADatabaseError), preparing(store, builders.text(tmp_path / "text")):
        pass
    assert store.folder() == before


def test_undo_waits_too(store: Store, tmp_path: Path) -> None:
    store.stage(new_snapshot(tmp_path))
    receipt = store.start()
    assert receipt is not None
    before = store.folder()
    with store.real.prepare_undo(staged_by="ann") as prepared:
        assert prepared.pending.undoes == receipt.kept
        assert prepared.taken_at is not None
        assert abs(receipt.at - prepared.taken_at) < timedelta(seconds=5)
    assert store.folder() == before


def test_kill_while_it_waits_leaves_a_file_that_is_swept(store: Store, snapshot: Path) -> None:
    before = store.folder()

    def wait(requests: IO[str], answers: IO[str]) -> None:
        with preparing(store, snapshot):
            print("waiting", file=answers)
            requests.readline()

    with builders.forked(wait) as (pid, _, answers):
        assert answers.readline() == "waiting\n"
        os.kill(pid, signal.SIGKILL)
    (name,) = store.temporaries()
    assert store.real.sweep() == [name]
    assert store.folder() == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.proof
def test_error_at_any_step_of_the_staging_leaves_what_was_pending(
    code: int, store: Store, snapshot: Path, tmp_path: Path
) -> None:
    earlier = builders.healthy(tmp_path / "earlier.db", "earlier").read_bytes()
    for number in range(1, 100):
        store.stage(tmp_path / "earlier.db")
        with preparing(store, snapshot) as prepared:
            with counted(Steps(refuse_with(code), at=number)) as steps, suppress(BackupError):
                prepared.stage()
            found = store.paths.pending.read_bytes()
        assert found in (earlier, snapshot.read_bytes()), (number, steps.failed)
        status = store.real.get_status().pending
        assert status is not None
        assert status.staged_by in ("tester", "ann")
        assert (found == earlier) == (status.staged_by == "tester"), (number, steps.failed)
        if not steps.failed:
            break
    else:
        pytest.fail("each step failed")


# What is live


def test_rows_of_the_live_database_are_counted(store: Store) -> None:
    rows = store.real.count_rows()
    with closing(sqlite3.connect(store.database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM items").fetchone()
    assert rows["items"] == count
    assert "sqlite_sequence" not in rows


def test_rows_that_nobody_can_read_are_not_known(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.ruined(store.database)
    before = store.folder()
    assert store.real.count_rows() == {}
    after = store.folder()
    after.pop("tasks.db-shm", None)  # as everybody who connects leaves it
    assert after == before


def test_rows_of_a_database_that_is_not_there_are_not_known(tmp_path: Path) -> None:
    absent = Store(tmp_path / "tasks.db")
    assert absent.real.count_rows() == {}
    assert list(tmp_path.iterdir()) == []


def test_count_that_takes_too_long_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("CREATE TABLE many (a)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
            " INSERT INTO many SELECT zeroblob(900) FROM n"
        )
        connection.commit()
    assert store.real.count_rows()["many"] == 300_000
    store.check_seconds = store.live_seconds = 0.0
    assert store.real.count_rows() == {}


def test_free_bytes_are_those_of_the_disk(store: Store) -> None:
    usage = os.statvfs(store.paths.folder)
    free = usage.f_bavail * usage.f_frsize
    assert abs(store.real.free_bytes() - free) < 2**30
