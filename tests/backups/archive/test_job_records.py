"""What is remembered of jobs: each changes its own fields, and no decision is lost."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backups.archive import decisions, job_progress, job_records, jobs
from backups.archive.job_progress import JobProgress
from backups.archive.job_records import Job
from backups.exceptions import (
    BusyError,
    NotDecidedError,
    RestoreCancelledError,
    StoreFolderError,
)
from backups.services import get_store
from backups.sqlite.store import SqliteBackupStore
from tests.site import Site

JOB = Job("1", "prepare", "ann", "2026-11-26T10:00:00+00:00", has_begun=True)


@pytest.fixture
def at_work(live: Site) -> Iterator[Job]:
    """A job whose process lives: this one."""
    job_records.write(get_store(), JOB)
    with get_store().lock("job 1", outside=True):
        yield JOB


def test_decision_outlives_whatever_the_job_writes(at_work: Job) -> None:
    decided = jobs.decide("1", "cancel", by="ben").decision
    job_records.change(get_store(), "1", step="checking")
    job_records.write(get_store(), at_work)  # as it was before the decision
    found = job_records.find(get_store(), "1")
    assert found is not None
    assert found.decision == decided is not None


def test_many_writers_and_one_decision(at_work: Job) -> None:
    """Threads stand for processes: the lock does not tell them apart."""
    store, begin = get_store(), threading.Barrier(9)

    def write(number: int) -> None:
        begin.wait()
        for each in range(20):
            job_records.change(store, "1", **{("done", "total")[number % 2]: each})

    def decide(number: int) -> bool:
        begin.wait()
        try:
            return jobs.decide("1", "cancel", by=str(number)) is not None
        except BusyError:
            return False

    with ThreadPoolExecutor(9) as pool:
        written = [pool.submit(write, number) for number in range(4)]
        won = [pool.submit(decide, number) for number in range(5)]
        for each in written:
            each.result()
        winners = [number for number, each in enumerate(won) if each.result()]
    found = job_records.find(store, "1")
    assert found is not None
    assert found.decision is not None
    assert [str(each) for each in winners] == [found.decision["by"]]
    assert (found.done, found.total) == (19, 19)


def test_decision_and_the_end_of_the_wait_can_not_both_be(at_work: Job) -> None:
    store = get_store()
    job_records.change(store, "1", step="waiting")
    jobs.decide("1", "stage", by="ben")
    assert decisions.wait(store, "1", seconds=0)["by"] == "ben"

    job_records.change(store, "1", decision=None)
    with pytest.raises(NotDecidedError):
        decisions.wait(store, "1", seconds=0)
    with pytest.raises(BusyError, match="has ended"):
        jobs.decide("1", "stage", by="ben")


def test_decision_in_the_last_moment_counts(at_work: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the end, as the job sees it."""
    store, looks = get_store(), 0
    job_records.change(store, "1", step="waiting")
    decided = decisions.decided

    def look(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        found = decided(*args)
        if looks == 1:
            jobs.decide("1", "apply", by="ben")
        return found

    monkeypatch.setattr(decisions, "decided", look)
    assert decisions.wait(store, "1", seconds=0)["what"] == "apply"
    assert jobs.list_jobs()[0].is_running


@pytest.mark.parametrize(
    "made", [5, [], "cancel", {}, {"what": 7}, {"what": "cancel", "by": "a", "at": "never"}]
)
def test_decision_that_somebody_wrote_by_hand_breaks_nothing(made: Any, at_work: Job) -> None:
    store = get_store()
    job_records.change(store, "1", decision=made, step="waiting")
    assert jobs.list_jobs()[0].is_running
    with pytest.raises(BusyError):
        jobs.decide("1", "stage", by="ann")
    decisions.check_not_cancelled(store, "1")


def test_old_jobs_make_room_and_not_those_at_work(live: Site) -> None:
    store = get_store()
    job_records.write(store, JOB)
    for number in range(2, 2 * job_records.MOST_JOBS):
        job_records.write(store, Job(str(number), "store", "ann", JOB.began_at, None, "done"))
    found = [each.id for each in job_records.read(store)]
    assert len(found) == job_records.MOST_JOBS
    assert found[0] == "1"
    assert found[-1] == str(2 * job_records.MOST_JOBS - 1)


# How far it is


def test_progress_is_written_at_most_once_a_second(
    at_work: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[dict[str, Any]]()
    clock = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    monkeypatch.setattr(job_records, "change", lambda *_, **fields: written.append(fields))
    progress = JobProgress(get_store(), "1")
    progress.step("receiving", 1000)
    for _ in range(10):
        progress(7)
    clock += job_progress.WRITE_SECONDS
    progress(30)
    assert [(each["step"], each["done"]) for each in written] == [
        ("receiving", 0),
        ("receiving", 100),
    ]
    progress(2000)
    assert progress.fields == {"step": "receiving", "done": 2100, "total": 2100}


def test_progress_that_can_not_be_written_does_not_end_the_work(
    at_work: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any) -> Any:
        raise StoreFolderError("The disk is full.")

    monkeypatch.setattr(SqliteBackupStore, "remember", refuse)
    progress = JobProgress(get_store(), "1")
    progress.step("receiving")
    progress(7)
    assert progress.fields["done"] == 7
    with pytest.raises(StoreFolderError):  # nobody could decide
        progress.wait({}, seconds=0)


def test_cancelled_work_ends_between_two_chunks(at_work: Job) -> None:
    progress = JobProgress(get_store(), "1")
    progress.heed(1)
    jobs.decide("1", "cancel", by="ben")
    progress._looked_at = 0.0
    with pytest.raises(RestoreCancelledError, match="by ben"):
        progress.heed(1)


def test_job_is_shown_whole_after_it_was_written_by_an_earlier_release(live: Site) -> None:
    path = live.data / "tasks.db.backups-state.json"
    old = {"id": "x", "work": "store", "by": "ann", "began_at": JOB.began_at, "outcome": "done"}
    path.write_text(json.dumps({"jobs": [old]}))
    (job,) = jobs.list_jobs()
    assert (job.step, job.done, job.total, job.verdict, job.source) == ("", 0, None, None, {})
