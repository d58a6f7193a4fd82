"""
Long work in a process of its own: storing, verifying, restoring. It goes on if the worker ends.

A job is remembered beside the database, so that every worker can say how it goes. Its process holds
a lock with the job's name. If the job is said to run and the lock is free, the process was killed.
"""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backups import services
from backups.archive import decisions
from backups.archive.feeding import feed
from backups.archive.job_records import (
    Job,
    change_job,
    end_job,
    error_words,
    now,
    read_job,
    read_jobs,
    write_job,
)
from backups.exceptions import BackupError, BusyError, ChildNotStartedError
from backups.processes import limits
from backups.processes.spawn import command, environment, starting_thread
from backups.store import BackupStore

__all__ = ["DECISION_SECONDS", "PREPARE", "Job", "decide", "find", "list_jobs", "run", "start"]

PREPARE = "prepare"  # the work that checks a snapshot, and waits for a decision to put it back
DECISION_SECONDS = decisions.SECONDS
MODULE = "backups.archive.job_child"
MOST_AT_ONCE = 8  # jobs that may run: each is a process
START_SECONDS = 60.0  # the longest that a new process needs to take its lock
NICE = 10  # the niceness of a job: the site goes first
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at a job


def start(
    work: str,
    *,
    by: str,
    database: str | None = None,
    job_id: str | None = None,
    source: dict[str, str] | None = None,
    chunks: Iterable[bytes] | None = None,
    **arguments: Any,
) -> Job:
    """
    Begin a job in a process of low priority. It goes on if this process ends.

    :param work: a name in ``management.archive.work.WORK``.
    :param job_id: a new UUID; None to choose one.
    :param source: where the snapshot comes from that it is about, to be shown.
    :param chunks: an upload for the job. This returns once the job has it all, or wants no more.
    :param arguments: of that function; fit for JSON.
    :raises BusyError: too many are running, too many wait for a decision, or the id is taken.
    :raises ChildNotStartedError: the system starts no process.
    """
    store = services.get_store(database)
    if work == PREPARE:
        decisions.make_way(store, by)
    _refuse_more(list_jobs(database=database), job_id)
    job = Job(job_id or str(uuid.uuid4()), work, by, now(), source=source)
    write_job(store, job)
    words = json.dumps({"job": job.id, "database": database, "arguments": arguments})
    try:
        process = subprocess.Popen(
            command(MODULE, words, with_site=True),
            env=environment(with_site=True),
            stdin=subprocess.DEVNULL if chunks is None else subprocess.PIPE,
            start_new_session=True,  # so that no signal for the server's group reaches it
        )
        with starting_thread():
            threading.Thread(target=_await_end, args=(process, store, job), daemon=True).start()
    except (OSError, ChildNotStartedError) as error:
        end_job(store, job.id, "failed", error=error_words(error))
        raise ChildNotStartedError(f"The job's process could not be started: {error}.") from error
    if chunks is not None:
        assert process.stdin is not None
        feed(process.stdin, chunks)
    return job


def decide(job_id: str, what: str, *, by: str, database: str | None = None) -> Job:
    """
    Decide about a snapshot that was checked: "stage", "apply" or "cancel".

    :raises NotStoredError: there is no such job.
    :raises BusyError: it has ended, was decided already, or does not wait yet.
    """
    find(job_id, database=database)
    return decisions.decide(services.get_store(database), job_id, what, by=by)


def find(job_id: str, *, database: str | None = None) -> Job | None:
    """A job as it is now; None if nothing is known of it. Reads only."""
    store = services.get_store(database)
    found = read_job(store, job_id)
    return found if found is None or not found.is_running else _alive(store, found)


def wait(job: Job, *, seconds: float, database: str | None = None) -> Job:
    """The job once it has ended, or as it is after ``seconds``."""
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while job.is_running and (left := end - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(1.5 * pause, LONGEST_PAUSE)
        job = find(job.id, database=database) or job
    return job


def list_jobs(*, database: str | None = None) -> list[Job]:
    """The last jobs, newest first. Reads only."""
    store = services.get_store(database)
    return [_alive(store, job) if job.is_running else job for job in read_jobs(store)[::-1]]


def run(job_id: str, work: Callable[[], Any], *, database: str | None = None) -> None:
    """Do the work of a job, in the job's own process, and remember what became of it."""
    store = services.get_store(database)
    limits.be_nice(NICE)
    with store.lock(f"job {job_id}", wait=True):  # who looks at it holds the lock for a moment
        change_job(store, job_id, lambda _: {"has_begun": True})
        try:
            answer = work()
        except BaseException as error:
            end_job(store, job_id, "failed", error=error_words(error))
            if not isinstance(error, BackupError):
                raise
        else:
            end_job(store, job_id, "done", answer=answer)


def _refuse_more(known: list[Job], job_id: str | None) -> None:
    if job_id is not None and any(job.id == job_id for job in known):
        raise BusyError(f"The id {job_id} is that of another job.", hint="Choose a new one.")
    running = [job for job in known if job.is_running and not job.is_waiting]
    if len(running) >= MOST_AT_ONCE:
        raise BusyError(
            f"{len(running)} jobs are running, and no more may run at once.",
            hint="Wait until one of these jobs has ended, then try again.",
        )


def _await_end(process: "subprocess.Popen[bytes]", store: BackupStore, job: Job) -> None:
    """Wait until the job's process ends. If it was killed, note that for it."""
    process.wait()
    found = read_job(store, job.id)
    if found is not None and found.is_running:
        with suppress(BackupError):
            end_job(store, job.id, "stopped")


def _alive(store: BackupStore, job: Job) -> Job:
    """The job; "stopped" if its process was killed. A new process may not have its lock yet."""
    age = datetime.now(UTC) - datetime.fromisoformat(job.began_at).astimezone(UTC)
    if not job.has_begun and age.total_seconds() < START_SECONDS:
        return job
    try:
        with store.lock(f"job {job.id}"):
            job = read_job(store, job.id) or job  # it may have ended since it was read
            return replace(job, outcome="stopped") if job.is_running else job
    except BusyError:
        return job
