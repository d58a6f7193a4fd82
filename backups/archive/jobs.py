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
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from backups import services
from backups.archive import job_records
from backups.archive.decisions import CANCEL, PREPARE, decide, decision
from backups.archive.feeding import feed
from backups.archive.job_progress import JobProgress
from backups.archive.job_records import Job, alive, failure
from backups.exceptions import BackupError, BadParameterError, BusyError, ChildNotStartedError
from backups.processes import limits
from backups.processes.spawn import command, environment, starting_thread
from backups.store import BackupStore

__all__ = ["Job", "decide", "find", "list_jobs", "run", "start", "wait"]

MODULE = "backups.archive.job_child"
MOST_AT_ONCE = 8  # jobs that may run: each is a process
MOST_WAITING = 3  # restores that may wait for a decision: each has a file as large as the database
DECISION_SECONDS = 1800.0  # how long such a restore waits
END_SECONDS = 10.0  # for a process that takes no more of an upload, to say why
NICE = 10  # the niceness of a job: the site goes first
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at a job


def start(
    work: str,
    *,
    by: str,
    database: str | None = None,
    job_id: str | None = None,
    chunks: Iterable[bytes] | None = None,
    source: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Job:
    """
    Begin a job in a process of low priority. It goes on if this process ends.

    :param work: a name in ``management.archive.work.WORK``.
    :param job_id: a UUID, for who wants to ask for the job while this call goes on.
    :param chunks: an upload for the job. This call ends when all of it is passed on, or the job
        has refused it; the job's error says why. If this process is killed before, the job fails.
    :param source: what is restored, as ``Job.source`` shows it.
    :param arguments: of that function; fit for JSON.
    :raises BusyError: too many are running or waiting.
    :raises BadParameterError: ``job_id`` is not a UUID, or that of another job.
    :raises ChildNotStartedError: the system starts no process.
    :raises Exception: an error of the chunks.
    """
    store = services.get_store(database)
    job = Job(_checked(job_id), work, by, job_records.now(), source=dict(source or {}))
    with store.remember() as state:
        _admit(store, state, job)
        job_records.add(state, job)
    if work == PREPARE:
        arguments |= {"source": job.source, "seconds": DECISION_SECONDS}
    process = _start_process(store, job, database, arguments, has_input=chunks is not None)
    if chunks is None:
        return job
    assert process.stdin is not None
    if not feed(process.stdin, chunks):
        job = wait(job, seconds=END_SECONDS, database=database)
    return find(job.id, database=database) or job


def find(job_id: str, *, database: str | None = None) -> Job | None:
    """A job as it is now; None if nothing is known of it. Reads only."""
    store = services.get_store(database)
    found = job_records.find(store, job_id)
    return found if found is None or not found.is_running else alive(store, found)


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
    found = job_records.read(store)[::-1]
    return [alive(store, job) if job.is_running else job for job in found]


def run(job_id: str, work: Callable[[JobProgress], Any], *, database: str | None = None) -> None:
    """Do the work of a job, in the job's own process, and remember what became of it."""
    store = services.get_store(database)
    progress = JobProgress(store, job_id)
    limits.be_nice(NICE)
    # Whoever looks at the job holds the lock for a moment, so this waits for it.
    with store.lock(f"job {job_id}", wait=True, outside=True):
        job_records.change(store, job_id, has_begun=True)
        ending: dict[str, Any] = {}
        try:
            answer = work(progress)
            ending = {"outcome": "done", "answer": answer, "ended_at": job_records.now()}
        except BaseException as error:
            ending = failure(error)
            if not isinstance(error, BackupError):
                raise
        finally:
            job_records.change(store, job_id, **ending, **progress.fields)


def _checked(job_id: str | None) -> str:
    """:raises BadParameterError: it is not a UUID as text."""
    if job_id is None:
        return str(uuid.uuid4())
    with suppress(ValueError, AttributeError, TypeError):
        if str(uuid.UUID(job_id)) == job_id:
            return job_id
    raise BadParameterError("The id of a job must be a UUID.")


def _admit(store: BackupStore, state: dict[str, Any], job: Job) -> None:
    """Make room for a job: a person's earlier restore that waits is cancelled by a new one."""
    known = job_records.jobs_in(state)
    if any(each.id == job.id for each in known):
        raise BadParameterError(f"There is already a job {job.id}.")
    running = {each.id: each for each in known if each.is_running and alive(store, each).is_running}
    if job.work == PREPARE:
        for entry in job_records.entries(state):
            earlier = running.get(str(entry.get("id")))
            if earlier is not None and earlier.is_waiting and earlier.by == job.by:
                entry["decision"] = made = decision(CANCEL, job.by)
                running[earlier.id] = replace(earlier, decision=made)
        undecided = [
            each for each in running.values() if each.work == PREPARE and each.decision is None
        ]
        if len(undecided) >= MOST_WAITING:
            raise BusyError(
                f"{len(undecided)} restores wait for a decision, and no more may wait.",
                hint="Stage, apply or cancel one of them, then try again.",
            )
    at_work = [each for each in running.values() if not each.is_waiting]
    if len(at_work) >= MOST_AT_ONCE:
        raise BusyError(
            f"{len(at_work)} jobs are running, and no more may run at once.",
            hint="Wait until one of these jobs has ended, then try again.",
        )


def _start_process(
    store: BackupStore,
    job: Job,
    database: str | None,
    arguments: Mapping[str, Any],
    *,
    has_input: bool,
) -> "subprocess.Popen[bytes]":
    words = json.dumps({"job": job.id, "database": database, "arguments": arguments})
    try:
        process = subprocess.Popen(
            command(MODULE, words, with_site=True),
            bufsize=0,
            env=environment(with_site=True),
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            start_new_session=True,  # so that no signal for the server's group reaches it
        )
        with starting_thread():
            threading.Thread(target=_await_end, args=(process, store, job), daemon=True).start()
    except (OSError, ChildNotStartedError) as error:
        job_records.change(store, job.id, **failure(error))
        raise ChildNotStartedError(f"The job's process could not be started: {error}.") from error
    return process


def _await_end(process: "subprocess.Popen[bytes]", store: BackupStore, job: Job) -> None:
    """Wait until the job's process ends. If it was killed, note that for it."""
    process.wait()
    found = job_records.find(store, job.id)
    if found is not None and found.is_running:
        with suppress(BackupError), job_records.changing(store, job.id) as entry:
            if entry.get("outcome") == "running":
                entry.update(outcome="stopped", ended_at=job_records.now())
