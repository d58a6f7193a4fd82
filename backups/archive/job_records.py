"""What is remembered of each job, beside the database: every process reads and changes it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from backups.store import BackupStore

JOBS = "jobs"  # in what the store remembers
MOST_JOBS = 50  # jobs that are remembered, the newest ones
WAITING = "waiting"  # the step of a job that waits for a person


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
    step: str = ""  # what it does now, e.g. "receiving", "checking", WAITING
    done: int = 0  # bytes of this step
    total: int | None = None  # bytes of this step in all; None if nobody knows
    source: Mapping[str, str] | None = None  # of the snapshot it is about: kind, name or id
    verdict: Mapping[str, Any] | None = None  # what a snapshot that waits for a decision would do
    decision: Mapping[str, str] | None = None  # what was decided, by whom, and when

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.outcome == "running"

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a person to decide."""
        return self.is_running and self.step == WAITING and self.decision is None


def now() -> str:
    """The time, as a job has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_jobs(store: BackupStore) -> list[Job]:
    """All that are remembered, the oldest first. Reads only."""
    found = []
    for each in _remembered(store.recall()):
        with suppress(TypeError, KeyError, ValueError):  # the file was changed by hand
            datetime.fromisoformat(each["began_at"])
            found.append(Job(**each))
    return found


def read_job(store: BackupStore, job_id: str) -> Job | None:
    """One of them; None if it is not remembered. Reads only."""
    return next((job for job in read_jobs(store) if job.id == job_id), None)


def write_job(store: BackupStore, job: Job) -> None:
    """
    Remember a job, in the place of one with the same id.

    :raises StoreFolderError: it can't be written.
    """
    with store.remember() as state:
        others = [each for each in _remembered(state) if each.get("id") != job.id]
        state[JOBS] = [*others, asdict(job)][-MOST_JOBS:]


def change_job(
    store: BackupStore, job_id: str, change: Callable[[Job], Mapping[str, Any]]
) -> Job | None:
    """
    Change some fields of a job, one process at a time. All its other fields stay.

    :param change: takes the job as it is now, and returns the fields to change. An error that it
        raises passes through, and nothing is changed.
    :returns: the job as it is then; None if it is not remembered.
    :raises StoreFolderError: it can't be written.
    """
    with store.remember() as state:
        for each in _remembered(state):
            if each.get("id") == job_id:
                each |= change(Job(**each))
                return Job(**each)
    return None


def end_job(store: BackupStore, job_id: str, outcome: str, **fields: Any) -> Job | None:
    """Note that a job has ended now. Errors and the result are those of ``change_job``."""
    return change_job(store, job_id, lambda _: {"outcome": outcome, "ended_at": now(), **fields})


def error_words(error: BaseException) -> dict[str, str]:
    """What is remembered of an error."""
    return {
        "code": getattr(error, "code", "error"),
        "message": str(error) or type(error).__name__,
        "hint": getattr(error, "hint", ""),
    }


def _remembered(state: dict[str, Any]) -> list[Any]:
    found = state.get(JOBS)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
