"""A job and its progress: the page that a form leads to, and the part of it that is asked again."""

from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import gettext, gettext_lazy
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from backups.archive import jobs
from backups.archive.decisions import PREPARE
from backups.archive.jobs import Job
from backups.exceptions import NotStoredError
from backups.page.base import BACK_UP, RESTORE, PageView

TITLES = {
    "store": gettext_lazy("Back up now"),
    "verify": gettext_lazy("Verify a snapshot"),
    "run-due": gettext_lazy("Scheduled backup"),
    "restore": gettext_lazy("Restore"),
}
STEPS = {
    "storing": gettext_lazy("Storing a snapshot of the database"),
    "verifying": gettext_lazy("Reading the snapshot back, and trying a restore of it in a copy"),
    "staging": gettext_lazy("Checking and staging the snapshot"),
}
COUNT_BYTES = ("storing", "verifying", "receiving")  # steps; what others count is theirs to know


class JobPage(PageView):
    """How a backup or a verification goes, and what came of it."""

    needs = (BACK_UP, RESTORE)
    back = "snapshots"

    def get(self, request: Request, job: str) -> HttpResponseBase:
        """The page. A script asks for it every second, and takes what changes."""
        found = find(job)
        if found.work == PREPARE:
            return self.go_to("prepared", found.id)
        if found.work == "restore" and not self.may_restore:
            raise PermissionDenied
        words: dict[str, Any] = {
            "here": "snapshots",
            "job": found,
            "title": TITLES.get(found.work, found.work),
            "about": (found.source or {}).get("id", ""),
            "step": STEPS.get(found.step) or found.step.capitalize() or gettext("Starting"),
            "counts_bytes": found.step in COUNT_BYTES,
            "answer": found.answer if isinstance(found.answer, dict) else {},
        }
        return self.page("job.html", words)


def find(job_id: str) -> Job:
    """:raises NotStoredError: there is no such job, or it was forgotten."""
    if (found := jobs.find(job_id)) is None:
        raise NotStoredError(
            gettext("There is no job %(job)r.") % {"job": job_id},
            hint=gettext("Only the last 50 are known."),
        )
    return found
