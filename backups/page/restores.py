"""Put a snapshot back: choose it, see what it would do, decide, and see what came of it."""

from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from backups.page.base import RESTORE, PageView


class RestorePage(PageView):
    """What is pending, an upload, and the way back after the last restore."""

    needs = (RESTORE,)

    def get(self, request: Request) -> HttpResponse:
        """The page."""
        return self.page("restore.html", {"here": "restore"})


class RestoreStored(PageView):
    """Check a stored snapshot, to put it back."""

    needs = (RESTORE,)

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Begin."""
        return self.go_to("restore")


class UploadAction(PageView):
    """Check an upload, to put it back."""

    needs = (RESTORE,)

    def post(self, request: Request, job: UUID) -> HttpResponseBase:
        """Pass it on to the job as it arrives."""
        return self.go_to("restore")


class UndoAction(PageView):
    """Check what the last restore replaced, to put it back."""

    needs = (RESTORE,)

    def post(self, request: Request) -> HttpResponseBase:
        """Begin."""
        return self.go_to("restore")


class DiscardAction(PageView):
    """Discard what is pending."""

    needs = (RESTORE,)

    def post(self, request: Request) -> HttpResponseBase:
        """Discard it."""
        return self.go_to("restore")


class PreparedPage(PageView):
    """A snapshot on its way back: its progress, the verdict, and the end."""

    needs = (RESTORE,)

    def get(self, request: Request, job: UUID) -> HttpResponse:
        """The page."""
        return self.page("prepared.html", {"here": "restore"})


class DecideAction(PageView):
    """Decide about a snapshot that waits."""

    needs = (RESTORE,)

    def post(self, request: Request, job: UUID) -> HttpResponseBase:
        """Note the decision."""
        return self.go_to("prepared", str(job))
