"""
The jobs as they are remembered beside the database, so that every worker can say how they go.

The process of a job writes what its job does. Another process may write a decision at the same
moment, so each writes its own fields only.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from backups.exceptions import BackupError, BusyError
from backups.store import BackupStore

JOBS = "jobs"  # in what the store remembers
MOST_JOBS = 50  # jobs that are remembered, the newest ones
MADE = ("what", "by", "at")  # the fields of a decision
START_SECONDS = 60.0  # the longest that a new process needs to take its lock
WAITING = "waiting"  # the step in which a checked restore waits for a decision


@dataclass(frozen=True)
class Job:
    """One piece of work, and what became of it."""

    id: str
    work: str  # "store", "verify", "restore", "prepare" or "run-due"
    by: str
    began_at: str  # ISO 8601, UTC
    ended_at: str | None = None
    outcome: str = "running"  # or "done", "failed", "stopped": its process was killed
    answer: Any = None  # what the work returned, as JSON
    error: Mapping[str, str] | None = None  # code, message and hint
    has_begun: bool = False  # its process took the lock: if that is free, it was killed
    step: str = ""  # what it does now: "receiving", "checking" …; what it did last, once it ended
    done: int = 0  # bytes of this step, or whatever a step in a store's own words counts
    total: int | None = None  # of this step in all; None if that is not known
    source: Mapping[str, Any] = field(default_factory=dict)  # what it is about: kind, name or id
    verdict: Mapping[str, Any] | None = None  # what is known of a restore that waits
    decision: Mapping[str, Any] | None = None  # what to do with it, who says so, and when

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.outcome == "running"

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a decision that nobody has made yet."""
        return self.is_running and self.step == WAITING and self.decision is None


def read(store: BackupStore) -> list[Job]:
    """The jobs as they were written, the oldest first. Reads only."""
    return jobs_in(store.recall())


def find(store: BackupStore, job_id: str) -> Job | None:
    """A job as it was written; None if nothing is known of it. Reads only."""
    return next((job for job in read(store) if job.id == job_id), None)


def jobs_in(state: Mapping[str, Any]) -> list[Job]:
    """The jobs in what the store remembers."""
    found = []
    for each in entries(state):
        with suppress(TypeError, KeyError, ValueError):  # the file was changed by hand
            datetime.fromisoformat(each["began_at"])
            job = Job(**each)
            if not _is_decision(job.decision):
                job = replace(job, decision=None)
            found.append(job)
    return found


def _is_decision(made: object) -> bool:
    """Whether it is one, and has not been changed by hand."""
    if not isinstance(made, dict) or not all(isinstance(made.get(name), str) for name in MADE):
        return False
    with suppress(ValueError):
        return bool(datetime.fromisoformat(made["at"]))
    return False


def entries(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same as they are in the file."""
    found = state.get(JOBS)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def add(state: dict[str, Any], job: Job) -> None:
    """Add a new job. The oldest that have ended make room for it."""
    known = entries(state)
    while len(known) >= MOST_JOBS:
        ended = [each for each in known if each.get("outcome") != "running"]
        known.remove((ended or known)[0])
    state[JOBS] = [*known, asdict(job)]


def write(store: BackupStore, job: Job) -> None:
    """Write all of a job, except a decision that was made meanwhile. It may be a new one."""
    with store.remember() as state:
        for each in entries(state):
            if each.get("id") == job.id:
                each.update(asdict(job), decision=each.get("decision") or job.decision)
                return
        add(state, job)


@contextmanager
def changing(store: BackupStore, job_id: str) -> Iterator[dict[str, Any]]:
    """
    For a block that changes fields of a job, while no other process changes any. The fields of a
    job that is no longer known are lost.

    :raises StoreFolderError: the state can't be written; the old one stays.
    """
    with store.remember() as state:
        yield next((each for each in entries(state) if each.get("id") == job_id), {})


def change(store: BackupStore, job_id: str, **fields: Any) -> None:
    """Change these fields of a job, and no others. :raises BackupError: as ``changing``."""
    with changing(store, job_id) as entry:
        entry.update(fields)


def alive(store: BackupStore, job: Job) -> Job:
    """The job; "stopped" if its process was killed. A new process may not have its lock yet."""
    began = datetime.fromisoformat(job.began_at).astimezone(UTC)
    age = (datetime.now(UTC) - began).total_seconds()
    if not job.has_begun and abs(age) < START_SECONDS:  # below 0: the clock was set back
        return job
    try:
        with store.lock(f"job {job.id}", outside=True):
            # It may have ended since it was read.
            job = find(store, job.id) or job
            if not job.is_running or store.may_have_lost_locks():
                return job
            return replace(job, outcome="stopped")
    except BusyError:
        return job


def failure(error: BaseException) -> dict[str, Any]:
    """The fields of a job that ends with this error."""
    code = error.code if isinstance(error, BackupError) else BackupError.code
    words = {
        "code": code,
        "message": str(error) or type(error).__name__,
        "hint": getattr(error, "hint", ""),
    }
    return {"outcome": "failed", "error": words, "ended_at": now()}


def now() -> str:
    """The time, as a job has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
