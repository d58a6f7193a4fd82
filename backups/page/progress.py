"""A job and its progress: the page that a form leads to, and the part of it that is asked again."""

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from backups.archive import jobs
from backups.archive.jobs import Job
from backups.exceptions import NotStoredError
from backups.page.base import BACK_UP, RESTORE, PageView


class JobPage(PageView):
    """How a backup or a verification goes, and what came of it."""

    needs = (BACK_UP, RESTORE)

    def get(self, request: Request, job: str) -> HttpResponseBase:
        """The page; for a script, only what changes."""
        found = find(job)
        if found.work in ("prepare", "restore"):
            return self.go_to("prepared", found.id)
        return self.page("job.html", {"job": found, "here": "snapshots"})


def find(job_id: str) -> Job:
    """:raises NotStoredError: there is no such job, or it was forgotten."""
    if (found := jobs.find(job_id)) is None:
        raise NotStoredError(f"There is no job {job_id!r}.", hint="Only the last 50 are known.")
    return found
