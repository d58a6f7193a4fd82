"""
What to do with a restore that was checked: stage it, apply it, or cancel it. Somebody decides once.

    "receiving" ─▶ "checking" ─▶ "waiting" ─▶ "staging" ─▶ "applying"
         └──────────────┴────────────┴──── cancel

The decision is written under the lock of what the store remembers, and so is the end of a job that
nobody has decided on: one of the two comes first, and the other one sees it.
"""

import time
from collections.abc import Mapping
from typing import Any

from backups import services
from backups.archive import job_records
from backups.archive.job_records import Job
from backups.exceptions import (
    BadParameterError,
    BusyError,
    NotDecidedError,
    NotStoredError,
    RestoreCancelledError,
)
from backups.store import BackupStore

APPLY, CANCEL, STAGE = "apply", "cancel", "stage"
PREPARE = "prepare"  # the work that waits for a decision
LOOK_SECONDS = 0.25  # between two looks at what was decided


def decide(job_id: str, what: str, *, by: str, database: str | None = None) -> Job:
    """
    Decide what becomes of a restore: "stage", "apply", or "cancel", which is possible sooner.

    :param by: the name of the key or the user, for the record.
    :returns: the job as it is now.
    :raises NotStoredError: there is no such job.
    :raises BusyError: it has ended, somebody has decided, or it is not checked yet.
    :raises BadParameterError: there is nothing to decide about such work.
    """
    store = services.get_store(database)
    if (job := job_records.find(store, job_id)) is None:
        raise NotStoredError(f"There is no job {job_id!r}.", hint="Only the last jobs are known.")
    if job.work != PREPARE or what not in (APPLY, CANCEL, STAGE):
        raise BadParameterError(f"A job that does {job.work!r} can't be told to {what!r}.")
    if job.is_running:
        job = job_records.alive(store, job)
    with job_records.changing(store, job_id) as entry:
        _check(job, entry, what)
        entry["decision"] = decision(what, by)
    return job_records.find(store, job_id) or job


def decision(what: str, by: str) -> dict[str, str]:
    """A decision of this moment, as a job has it."""
    return {"what": what, "by": by, "at": job_records.now()}


def _check(job: Job, entry: Mapping[str, Any], what: str) -> None:
    """:raises BusyError: this can't be decided now. ``entry`` is newer than ``job``."""
    if not job.is_running or entry.get("outcome") != "running":
        raise BusyError("This restore has ended.", hint="See what came of it.")
    if (made := entry.get("decision")) is not None:
        by, decided = (made.get("by"), made.get("what")) if isinstance(made, dict) else ("", "")
        raise BusyError(f"{by} has already decided: {decided}.", hint="See what comes of it.")
    if what != CANCEL and entry.get("step") != job_records.WAITING:
        raise BusyError("This restore is not checked yet.", hint="Wait for the verdict.")


def decided(store: BackupStore, job_id: str) -> Mapping[str, Any] | None:
    """What was decided; None if nothing was. Reads only."""
    job = job_records.find(store, job_id)
    return None if job is None else job.decision


def check_not_cancelled(store: BackupStore, job_id: str) -> None:
    """:raises RestoreCancelledError: somebody has cancelled it."""
    made = decided(store, job_id)
    if made is not None and made.get("what") == CANCEL:
        raise RestoreCancelledError(f"The restore was cancelled by {made.get('by')}.")


def wait(store: BackupStore, job_id: str, *, seconds: float) -> Mapping[str, Any]:
    """
    Wait, in the job's own process, until somebody decides to stage or to apply.

    :raises RestoreCancelledError: somebody has cancelled it.
    :raises NotDecidedError: nobody has decided in ``seconds``. Nobody can any more.
    """
    end = time.monotonic() + seconds  # no matter what becomes of the clock
    while (made := decided(store, job_id)) is None:
        if time.monotonic() >= end:
            _give_up(store, job_id, seconds)
        else:
            time.sleep(LOOK_SECONDS)
    check_not_cancelled(store, job_id)
    return made


def _give_up(store: BackupStore, job_id: str, seconds: float) -> None:
    """:raises NotDecidedError: unless somebody has decided just now."""
    with job_records.changing(store, job_id) as entry:
        if entry.get("decision") is None:
            error = NotDecidedError(f"Nobody has decided within {seconds / 60:.0f} minutes.")
            entry.update(job_records.failure(error))
    if decided(store, job_id) is None:
        raise NotDecidedError(f"Nobody has decided within {seconds / 60:.0f} minutes.")
