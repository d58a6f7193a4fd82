"""Put a snapshot back: choose it, or go back after the last restore. Then: prepared.py."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from backups import services
from backups.api import caller
from backups.api.authentication import caller_name
from backups.api.parsers import UPLOAD_PARSERS
from backups.api.upload import upload_of
from backups.archive import jobs
from backups.archive.decisions import PREPARE
from backups.archive.jobs import Job
from backups.archive.state import read_state
from backups.conf import conf
from backups.exceptions import BadParameterError
from backups.page import prepared
from backups.page.base import RESTORE, PageView
from backups.store import ACCEPTABLE, KeptCopy, PendingRestore, Receipt

UPLOAD, STORED, UNDO = "upload", "stored", "undo"  # where a snapshot comes from


class RestorePage(PageView):
    """What is pending, who is at it, an upload, and the way back after the last restore."""

    needs = (RESTORE,)

    def get(self, request: Request) -> HttpResponse:
        """Reads what is beside the database, and asks the storage nothing."""
        status = services.get_restore_status()
        receipts = services.list_receipts()
        applied = next((each for each in receipts if each.outcome == "applied"), None)
        known = [job for job in jobs.list_jobs() if job.work == PREPARE]
        words: dict[str, Any] = {
            "here": "restore",
            "pending": status.pending,
            "pending_job": _job_of(status.pending, known),
            "present": status.present,
            "kept": _kept_by(applied),
            "last_applied": applied,
            "at_work": [job for job in known if job.is_running],
            "upload_job": uuid4(),
            "max_bytes": conf.max_upload_bytes,
            "state": read_state(),
        }
        if status.pending is not None:
            words["next_start"] = services.describe_next_start(status.pending)
        return self.page("restore.html", words)


class UploadAction(PageView):
    """Check an upload, to put it back."""

    needs = (RESTORE,)
    parser_classes = UPLOAD_PARSERS

    def takes_upload(self, request: Request) -> bool:
        """Until the caller is known, only the first fields of the form are read."""
        return True

    def post(self, request: Request, job: UUID) -> HttpResponseBase:
        """
        Pass the file on to a process of its own as it arrives, and show how that goes.

        The page chooses the id of the job, so that it can ask for it even if the line breaks. A
        browser may then send the same again by itself: that is a job of its own.
        """
        upload = upload_of(request)
        is_again = jobs.find(str(job)) is not None
        started = jobs.start(
            PREPARE,
            by=caller_name(request),
            job_id=None if is_again else str(job),
            chunks=upload,
            at_least=upload.at_least,
            source={"kind": UPLOAD, "name": upload.name},
            account=caller.account(request),
            accept=accepted(request),
        )
        return self.go_to("prepared", started.id)


class RestoreStored(PageView):
    """Check a stored snapshot, to put it back."""

    needs = (RESTORE,)

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Begin, and show how it goes."""
        job = jobs.start(
            PREPARE,
            by=caller_name(request),
            source={"kind": STORED, "id": backup},
            account=caller.account(request),
            accept=accepted(request),
        )
        return self.go_to("prepared", job.id)


class UndoAction(PageView):
    """Check what the last restore replaced, to put it back."""

    needs = (RESTORE,)

    def post(self, request: Request) -> HttpResponseBase:
        """Begin, and show how it goes."""
        job = jobs.start(PREPARE, by=caller_name(request), source={"kind": UNDO})
        return self.go_to("prepared", job.id)


class DiscardAction(PageView):
    """Discard what is pending."""

    needs = (RESTORE,)

    def post(self, request: Request) -> HttpResponseBase:
        """The live database is not touched. The page of what was discarded says so."""
        known = [job for job in jobs.list_jobs() if job.work == PREPARE]
        job = _job_of(services.get_restore_status().pending, known)
        services.discard_pending_restore(discarded_by=caller_name(request))
        return self.go_to("restore") if job is None else self.go_to("prepared", job.id)


def _kept_by(applied: Receipt | None) -> KeptCopy | None:
    """What the last restore that was applied has replaced, if it is still there."""
    if applied is None or applied.kept is None:
        return None
    found = (each for each in services.list_kept_copies() if each.name == applied.kept)
    return next(found, None)


def _job_of(pending: PendingRestore | None, known: Iterable[Job]) -> Job | None:
    """The job that has staged what is pending, if it is still known."""
    if pending is None:
        return None
    return next((job for job in known if prepared.is_of(job, pending)), None)


def accepted(request: Request) -> list[str]:
    """
    The problems that somebody has ticked in a form, to be accepted.

    :raises BadParameterError: a tick is none.
    """
    found = {each: request.POST.get(f"accept_{each}", "") for each in ACCEPTABLE}
    for each, given in found.items():
        if given not in ("", "yes"):
            raise BadParameterError(f"accept_{each} is {given!r}; it may only be yes.")
    return [each for each, given in found.items() if given]
