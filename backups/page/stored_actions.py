"""What can be done with stored snapshots: take one, verify, hold, release or delete it."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from rest_framework.request import Request

from backups.api.archive_views import short_text
from backups.api.authentication import caller_name
from backups.api.errors import status_of
from backups.archive import jobs, services
from backups.exceptions import BadParameterError, NotDeletableError
from backups.page.base import BACK_UP, RESTORE, PageView
from backups.page.snapshots import find


class StoreAction(PageView):
    """Take and store one now."""

    needs = (BACK_UP,)
    back = "snapshots"

    def post(self, request: Request) -> HttpResponseBase:
        """Begin the job, and show how it goes."""
        label = short_text(request, "label") or None
        return self.go_to("job", jobs.start("store", by=caller_name(request), label=label).id)


class VerifyAction(PageView):
    """Verify one."""

    needs = (BACK_UP,)
    back = "snapshots"

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Begin the job, and show how it goes."""
        stored = services.find_snapshot(backup, even_lost=True)
        job = jobs.start(
            "verify",
            by=caller_name(request),
            word=stored.id,
            source={"kind": "stored", "id": stored.id},
        )
        return self.go_to("job", job.id)


class HoldAction(PageView):
    """Hold one: nobody can delete it."""

    needs = (RESTORE,)
    back = "snapshots"

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Hold it. While it is being restored or verified: an error, since that may take long."""
        reason = short_text(request, "reason")
        held = services.hold(backup, by=caller_name(request), reason=reason, wait=False)
        return self.go_to("snapshot", held.id)


class ReleaseAction(PageView):
    """Release one."""

    needs = (RESTORE,)
    back = "snapshots"

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Release it."""
        released = services.release(backup, by=caller_name(request), wait=False)
        return self.go_to("snapshot", released.id)


class DeletePage(PageView):
    """Delete one, once that is confirmed."""

    needs = (RESTORE,)
    back = "snapshots"

    def get(self, request: Request, backup: str) -> HttpResponse:
        """Show what would be lost, and ask."""
        return self._asked(backup, {"verified_id": services.read_state().verified_id})

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Delete it; if it must stay, say why."""
        is_forced = _is_forced(request)
        try:
            deleted = services.delete(backup, by=caller_name(request), force=is_forced)
        except NotDeletableError as error:
            return self._asked(backup, {"refusal": error}, status=status_of(error))
        query = urlencode({"deleted": deleted.id})
        return self.go_to_url(f"{reverse('backups_page:snapshots')}?{query}")

    def _asked(self, backup: str, words: dict[str, Any], *, status: int = 200) -> HttpResponse:
        stored, is_lost = find(backup)
        known: dict[str, Any] = {"here": "snapshots", "where": services.where()}
        known |= {"stored": stored, "is_lost": is_lost}
        return self.page("delete.html", known | words, status=status)


def _is_forced(request: Request) -> bool:
    """Whether the last good one is meant too. :raises BadParameterError: the tick is none."""
    given = request.POST.get("force", "")
    if given not in ("", "yes"):
        raise BadParameterError(f"force is {given!r}; it may only be yes.")
    return given == "yes"
