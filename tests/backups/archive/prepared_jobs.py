"""Restores that are prepared by real jobs, of this process's live site."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backups.archive import jobs
from backups.archive.jobs import Job
from tests.backups.waiting import until

ANN, BEN = "ann", "ben"
CHUNK_BYTES = 100_000


def chunks(content: bytes) -> list[bytes]:
    """As an upload has them."""
    return [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]


def upload(content: bytes | Iterable[bytes], *, by: str = ANN, **arguments: Any) -> Job:
    """Prepare a restore from an upload."""
    arguments.setdefault("source", {"kind": "upload", "name": "mine.db"})
    given = chunks(content) if isinstance(content, bytes) else content
    return jobs.start("prepare", by=by, chunks=given, **arguments)


def from_store(snapshot_id: str, *, by: str = ANN) -> Job:
    """Prepare a restore from a stored snapshot."""
    return jobs.start("prepare", by=by, source={"kind": "stored", "id": snapshot_id})


def undo(*, by: str = ANN) -> Job:
    """Prepare to undo the last restore."""
    return jobs.start("prepare", by=by, source={"kind": "undo"})


def now(job: Job) -> Job:
    """The job as it is now."""
    return found(job.id)


def at(job: Job, step: str) -> Job:
    """The job once it has come to this step."""

    def look() -> Job | None:
        job_now = now(job)
        assert job_now.is_running, (job_now.outcome, job_now.error)
        return job_now if job_now.step == step else None

    return until(look)


def waiting(job: Job) -> Job:
    """The job once it waits for a decision."""
    return at(job, "waiting")


def ended(job: Job) -> Job:
    """The job once it has ended."""
    return until(lambda: None if (job_now := now(job)).is_running else job_now)


def done(job: Job) -> Any:
    """The answer of the job, once it has done its work."""
    end = ended(job)
    assert end.outcome == "done", end.error
    return end.answer


def failed(job: Job) -> tuple[str, str]:
    """The code and the message of the job, once it has failed."""
    end = ended(job)
    assert end.outcome == "failed", (end.outcome, end.answer)
    assert end.error is not None
    return end.error["code"], end.error["message"]


def process_of(job_id: str) -> int:
    """The process that does the job with this id."""

    def find() -> int | None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = place.read_bytes()
            except OSError:
                continue
            if job_id.encode() in words and b"backups.archive.job_child" in words:
                return int(place.parent.name)
        return None

    return until(find)


def kill(job: Job) -> None:
    """``kill -9`` the process of the job."""
    os.kill(process_of(job.id), signal.SIGKILL)


def left(data: Path) -> set[str]:
    """What restores have left in the folder: files of uploads, of what is pending, and receipts."""
    marks = ("incoming", "pending", "earlier", "refused", "pre-restore", "restore-receipts")
    starts = tuple(f"tasks.db.{mark}" for mark in marks)
    return {name for name in os.listdir(data) if name.startswith(starts)}


def incoming(data: Path) -> Path:
    """The one file of an upload."""
    (found,) = data.glob("tasks.db.incoming-*")
    return found


def found(job_id: str) -> Job:
    """The job with this id."""
    job = jobs.find(job_id)
    assert job is not None
    return job
