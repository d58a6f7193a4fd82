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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backups import services
from backups.exceptions import BackupError, BusyError, ChildNotStartedError
from backups.processes import limits
from backups.processes.spawn import command, environment, starting_thread
from backups.store import BackupStore

JOBS = "jobs"  # in what the store remembers
MOST_JOBS = 50  # jobs that are remembered, the newest ones
MODULE = "backups.archive.job_child"
MOST_AT_ONCE = 8  # jobs that may run: each is a process
START_SECONDS = 60.0  # the longest that a new process needs to take its lock
NICE = 10  # the niceness of a job: the site goes first
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at a job


@dataclass(frozen=True)
class Job:
    """One piece of work, and what became of it."""

    id: str
    work: str  # "store", "verify" or "restore"
    by: str
    began_at: str  # ISO 8601, UTC
    ended_at: str | None = None
    outcome: str = "running"  # or "done", "failed", "stopped": its process was killed
    answer: Any = None  # what the work returned, as JSON
    error: Mapping[str, str] | None = None  # code, message and hint
    has_begun: bool = False  # its process took the lock: if that is free, it was killed

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.outcome == "running"


def start(work: str, *, by: str, database: str | None = None, **arguments: Any) -> Job:
    """
    Begin a job in a process of low priority. It goes on if this process ends.

    :param work: a name in ``management.archive.work.WORK``.
    :param arguments: of that function; fit for JSON.
    :raises BusyError: too many are running.
    :raises ChildNotStartedError: the system starts no process.
    """
    store = services.get_store(database)
    running = [each for each in list_jobs(database=database) if each.is_running]
    if len(running) >= MOST_AT_ONCE:
        raise BusyError(
            f"{len(running)} jobs are running, and no more may run at once.",
            hint="Wait until one of these jobs has ended, then try again.",
        )
    job = Job(str(uuid.uuid4()), work, by, _now())
    _write(store, job)
    words = json.dumps({"job": job.id, "database": database, "arguments": arguments})
    try:
        process = subprocess.Popen(
            command(MODULE, words, with_site=True),
            env=environment(with_site=True),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that no signal for the server's group reaches it
        )
        with starting_thread():
            threading.Thread(target=_await_end, args=(process, store, job), daemon=True).start()
    except (OSError, ChildNotStartedError) as error:
        _write(store, _failed(job, error))
        raise ChildNotStartedError(f"The job's process could not be started: {error}.") from error
    return job


def find(job_id: str, *, database: str | None = None) -> Job | None:
    """A job as it is now; None if nothing is known of it. Reads only."""
    store = services.get_store(database)
    found = next((job for job in _read(store) if job.id == job_id), None)
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
    return [_alive(store, job) if job.is_running else job for job in _read(store)[::-1]]


def run(job_id: str, work: Callable[[], Any], *, database: str | None = None) -> None:
    """Do the work of a job, in the job's own process, and remember what became of it."""
    store = services.get_store(database)
    job = next(each for each in _read(store) if each.id == job_id)
    limits.be_nice(NICE)
    with store.lock(f"job {job_id}", wait=True):  # who looks at it holds the lock for a moment
        job = replace(job, has_begun=True)
        _write(store, job)
        try:
            answer = work()
            job = replace(job, outcome="done", answer=answer, ended_at=_now())
        except BaseException as error:
            job = _failed(job, error)
            if not isinstance(error, BackupError):
                raise
        finally:
            _write(store, job)


def _failed(job: Job, error: BaseException) -> Job:
    words = {
        "code": getattr(error, "code", "error"),
        "message": str(error) or type(error).__name__,
        "hint": getattr(error, "hint", ""),
    }
    return replace(job, outcome="failed", error=words, ended_at=_now())


def _await_end(process: "subprocess.Popen[bytes]", store: BackupStore, job: Job) -> None:
    """Wait until the job's process ends. If it was killed, note that for it."""
    process.wait()
    found = next((each for each in _read(store) if each.id == job.id), None)
    if found is not None and found.is_running:
        with suppress(BackupError):
            _write(store, replace(found, outcome="stopped", ended_at=_now()))


def _alive(store: BackupStore, job: Job) -> Job:
    """The job; "stopped" if its process was killed. A new process may not have its lock yet."""
    age = datetime.now(UTC) - datetime.fromisoformat(job.began_at).astimezone(UTC)
    if not job.has_begun and age.total_seconds() < START_SECONDS:
        return job
    try:
        with store.lock(f"job {job.id}"):
            # It may have ended since it was read.
            job = next((each for each in _read(store) if each.id == job.id), job)
            return replace(job, outcome="stopped") if job.is_running else job
    except BusyError:
        return job


def _read(store: BackupStore) -> list[Job]:
    found = []
    for each in _remembered(store.recall()):
        with suppress(TypeError, KeyError, ValueError):  # the file was changed by hand
            datetime.fromisoformat(each["began_at"])
            found.append(Job(**each))
    return found


def _remembered(state: dict[str, Any]) -> list[Any]:
    found = state.get(JOBS)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _write(store: BackupStore, job: Job) -> None:
    with store.remember() as state:
        others = [each for each in _remembered(state) if each.get("id") != job.id]
        state[JOBS] = [*others, asdict(job)][-MOST_JOBS:]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
