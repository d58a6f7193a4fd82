"""The stored snapshots: the list, one of them, and what can be done with it."""

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from backups.page.base import BACK_UP, RESTORE, PageView


class SnapshotsPage(PageView):
    """The stored snapshots, newest first."""

    needs = (BACK_UP, RESTORE)

    def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        return self.page("snapshots.html", {"here": "snapshots"})


class SnapshotPage(PageView):
    """All that is known of one."""

    def get(self, request: Request, backup: str) -> HttpResponse:
        """What its manifest says, and the buttons."""
        return self.page("snapshot.html", {"here": "snapshots"})


class StoreAction(PageView):
    """Take and store one now."""

    needs = (BACK_UP,)

    def post(self, request: Request) -> HttpResponseBase:
        """Begin the job, and show how it goes."""
        return self.go_to("snapshots")


class VerifyAction(PageView):
    """Verify one."""

    needs = (BACK_UP,)

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Begin the job, and show how it goes."""
        return self.go_to("snapshots")


class HoldAction(PageView):
    """Hold one: nobody can delete it."""

    needs = (RESTORE,)

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Hold it."""
        return self.go_to("snapshots")


class ReleaseAction(PageView):
    """Release one."""

    needs = (RESTORE,)

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Release it."""
        return self.go_to("snapshots")


class DeletePage(PageView):
    """Delete one, once that is confirmed."""

    needs = (RESTORE,)

    def get(self, request: Request, backup: str) -> HttpResponse:
        """Ask."""
        return self.page("delete.html", {"here": "snapshots"})

    def post(self, request: Request, backup: str) -> HttpResponseBase:
        """Delete it."""
        return self.go_to("snapshots")
