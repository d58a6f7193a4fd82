"""A snapshot on its way back: how its check goes, what it would do, the decision, and the end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from rest_framework.request import Request

from backups import services
from backups.api.authentication import caller_name
from backups.api.errors import status_of
from backups.archive import decisions, jobs
from backups.archive.decisions import APPLY, PREPARE, STAGE
from backups.archive.jobs import Job
from backups.conf import conf
from backups.exceptions import (
    BadParameterError,
    BrokenReferencesError,
    BusyError,
    DamagedSnapshotError,
    ForeignDatabaseError,
)
from backups.page.base import RESTORE, PageView
from backups.page.progress import find
from backups.store import DEFECTS, FOREIGN, PendingRestore, Receipt, RestoreStatus

# The problems that a person may accept, by the codes of the errors that name them.
ACCEPT = {
    BrokenReferencesError.code: DEFECTS,
    DamagedSnapshotError.code: DEFECTS,
    ForeignDatabaseError.code: FOREIGN,
}
NOW, AT_START, CANCEL = "now", "start", "cancel"  # what a form decides
DECISIONS = {NOW: APPLY, AT_START: STAGE, CANCEL: decisions.CANCEL}


class PreparedPage(PageView):
    """What a job of this kind does now; what it has found, to decide; what came of it."""

    needs = (RESTORE,)

    def get(self, request: Request, job: UUID) -> HttpResponseBase:
        """The page. A script asks for it again and again while something goes on."""
        found = find(str(job))
        if found.work != PREPARE:
            return self.go_to("job", found.id)
        return self.shown(found)

    def shown(self, job: Job, *, error: str = "", status: int = 200) -> HttpResponse:
        """The page of a job; with an error in the form, if there was one."""
        words: dict[str, Any] = {
            "here": "restore",
            "job": job,
            "error": error,
            "chosen": self.request.POST.get("when", ""),  # beside a name that is wrong
            "state": state_of(job),
            "site_name": conf.name,
            "steps": _steps(job),
        }
        if words["state"] == "waiting":
            words |= _verdict(job)
        if not job.is_running:
            words["end"] = end_of(job)
            words["accept"] = ACCEPT.get((job.error or {}).get("code", ""), "")
        return self.page("prepared.html", words, status=status)


class DecideAction(PreparedPage):
    """Decide about a snapshot that waits."""

    http_method_names = ["post", "options"]  # noqa: RUF012

    def post(self, request: Request, job: UUID) -> HttpResponseBase:
        """Note the decision, and show how it goes on. It takes the site's name, but to cancel."""
        what = request.POST.get("when", "")
        if what not in DECISIONS:
            raise BadParameterError(f"when is {what!r}; it may be {', '.join(DECISIONS)}.")
        if what != CANCEL and request.POST.get("name", "").strip() != conf.name:
            words = gettext("To put this back, type the name of the site: %(name)s")
            return self.shown(find(str(job)), error=words % {"name": conf.name}, status=400)
        try:
            jobs.decide(str(job), DECISIONS[what], by=caller_name(request))
        except BusyError as error:  # somebody was faster, or nobody for too long
            return self.shown(find(str(job)), error=str(error), status=status_of(error))
        return self.go_to("prepared", str(job))


def state_of(job: Job) -> str:
    """What to show: "waiting" for a decision, "working", or "ended"."""
    if not job.is_running:
        return "ended"
    return "waiting" if job.is_waiting else "working"


def _steps(job: Job) -> list[tuple[str, str]]:
    """The steps on the way, each with "over", "now" or "" for one that is still to come."""
    steps = {
        "receiving": gettext("Received"),
        "checking": gettext("Checked"),
        "waiting": gettext("Decided"),
        "staging": gettext("Staged"),
    }
    if job.decision is not None and job.decision["what"] == APPLY:
        steps["applying"] = gettext("Live")
    step = job.step or "receiving"
    now = list(steps).index(step if step in steps else "checking")  # in the words of a store
    signs = ["over"] * now + ["now"] + [""] * (len(steps) - now - 1)
    return list(zip(steps.values(), signs, strict=True))


# The verdict


@dataclass(frozen=True)
class Rows:
    """The rows of a table: how many are live now, and how many there would be."""

    table: str
    live: int | None  # None: there is no such table
    snapshot: int | None

    @property
    def difference(self) -> int | None:
        """How many more there would be; None if only one of the two has the table."""
        if self.live is None or self.snapshot is None:
            return None
        return self.snapshot - self.live


def _verdict(job: Job) -> dict[str, Any]:
    assert job.verdict is not None
    rows = [Rows(each["table"], each["live"], each["snapshot"]) for each in job.verdict["rows"]]
    changed = [each for each in rows if each.live != each.snapshot]
    return {
        "verdict": job.verdict,
        "changed": changed,
        "unchanged": len(rows) - len(changed),
        "until": _moment(job.began_at) + timedelta(seconds=jobs.DECISION_SECONDS),
        "status": services.get_restore_status(),
        "meanwhile": _applied_since(_moment(job.verdict["at"])),
    }


def _applied_since(moment: datetime) -> Receipt | None:
    """The last restore that was applied since then: what is live is no longer what was counted."""
    last = services.get_restore_status().last
    return last if last and last.outcome == "applied" and last.at > moment else None


# The end


@dataclass(frozen=True)
class End:
    """What became of a snapshot that was to be put back."""

    # "live", "pending", "refused", "discarded", "replaced", "cancelled" or "failed"
    what: str
    receipt: Receipt | None = None  # of what happened last
    pending: PendingRestore | None = None
    present: tuple[str, ...] = ()  # the processes that have to end before it can be applied
    next_start: str = ""  # what the next start will do, in a sentence


def end_of(job: Job) -> End:
    """
    What the receipts and the disk say now: it goes on after the job, when the server starts again.
    """
    if job.decision is not None and job.decision["what"] == decisions.CANCEL:
        return End("cancelled")
    status, ours = services.get_restore_status(), list(_receipts_of(job))
    if is_pending(job, status):
        assert status.pending is not None
        blocked = next((each for each in ours if each.outcome == "blocked"), None)
        return End(
            "pending",
            receipt=blocked,
            pending=status.pending,
            present=status.present,
            next_start=services.describe_next_start(status.pending),
        )
    last = next((each for each in ours if each.outcome in ENDS), None)
    if last is not None:
        return End(ENDS[last.outcome], receipt=last)
    return End("replaced" if job.outcome == "done" else "failed")


ENDS = {"applied": "live", "refused": "refused", "discarded": "discarded"}


def is_pending(job: Job, status: RestoreStatus) -> bool:
    """Whether what is pending now came from this job."""
    return status.pending is not None and is_of(job, status.pending)


def is_of(job: Job, found: PendingRestore | Receipt) -> bool:
    """Whether this job has staged it: by its content, its time and its person."""
    if job.verdict is None or job.decision is None or found.sha256 != job.verdict["sha256"]:
        return False
    decided = _moment(job.decision["at"])
    ended = None if job.ended_at is None else _moment(job.ended_at)
    staged = found.staged_at
    return staged is not None and staged >= decided and (ended is None or staged <= ended)


def _receipts_of(job: Job) -> Iterable[Receipt]:
    """What happened to it, the newest first."""
    return (each for each in services.list_receipts() if is_of(job, each))


def _moment(words: str) -> datetime:
    return datetime.fromisoformat(words)
