"""
A person decides about a snapshot that was checked: stage it, apply it, or cancel.

The decision is remembered with the job, whose process looks for it. Any worker can note it.
"""

import threading
import time
from collections.abc import Callable

from backups.archive.job_records import WAITING, Job, change_job, now, read_job, read_jobs
from backups.exceptions import (
    BusyError,
    NotDecidedError,
    NotStoredError,
    RestoreCancelledError,
)
from backups.store import BackupStore

STAGE, APPLY, CANCEL = "stage", "apply", "cancel"
SECONDS = 1800.0  # how long a checked snapshot waits: a person reads the verdict, perhaps asks
MOST_WAITING = 3  # each takes the room of a whole database
LOOK_SECONDS = 0.25  # between two looks for a decision


def decide(store: BackupStore, job_id: str, what: str, *, by: str) -> Job:
    """
    Note a decision: STAGE or APPLY, while the job waits; CANCEL, until it was decided.

    :raises NotStoredError: there is no such job.
    :raises BusyError: it has ended, was decided already, or does not wait yet.
    """

    def change(job: Job) -> dict[str, object]:
        if not job.is_running:
            raise BusyError("This restore has ended already.", hint="Look what came of it.")
        if job.decision is not None:
            raise BusyError(
                f"{job.decision['by']} has decided already: {job.decision['what']}.",
                hint="Look what came of it.",
            )
        if what != CANCEL and job.step != WAITING:
            raise BusyError("The snapshot is still being checked.")
        return {"decision": {"what": what, "by": by, "at": now()}}

    decided = change_job(store, job_id, change)
    if decided is None:
        raise NotStoredError(f"There is no job {job_id!r}.", hint="Only the last jobs are known.")
    return decided


def make_way(store: BackupStore, by: str) -> None:
    """
    Cancel what waits for a decision of this person, who begins another restore.

    :raises BusyError: too many others wait.
    """
    waiting = [job for job in read_jobs(store) if job.is_waiting]
    for job in waiting:
        if job.by == by:
            decide(store, job.id, CANCEL, by=by)
    others = [job.by for job in waiting if job.by != by]
    if len(others) >= MOST_WAITING:
        raise BusyError(
            f"{len(others)} restores wait for a decision already, of {', '.join(others)}.",
            hint="Decide about one of them, or cancel it, then try again.",
        )


def watch(store: BackupStore, job_id: str) -> Callable[[], None]:
    """
    A function to call now and then during the work. It looks at most every LOOK_SECONDS.

    :returns: it raises ``RestoreCancelledError`` once somebody has cancelled the job.
    """
    looked_at = time.monotonic()

    def look() -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            looked_at = time.monotonic()
            _refuse_cancelled(read_job(store, job_id))

    return look


def await_decision(store: BackupStore, job_id: str) -> Job:
    """
    Wait until somebody has decided.

    :returns: the job, with a decision to stage or to apply.
    :raises RestoreCancelledError: somebody has cancelled it.
    :raises NotDecidedError: nobody has decided in time.
    """
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        job = read_job(store, job_id)
        _refuse_cancelled(job)
        if job is not None and job.decision is not None:
            return job
        threading.Event().wait(LOOK_SECONDS)
    raise NotDecidedError(f"Nobody has decided within {SECONDS / 60:.0f} minutes.")


def _refuse_cancelled(job: Job | None) -> None:
    if job is not None and job.decision is not None and job.decision["what"] == CANCEL:
        raise RestoreCancelledError(f"The restore was cancelled by {job.decision['by']}.")
