"""The first page: whether the site is backed up, in one sentence, and what that rests on."""

from django.http import HttpResponse
from rest_framework.request import Request

from backups.page.base import PageView


class OverviewPage(PageView):
    """Whether backups are taken, verified and recent; what is due; what to worry about."""

    def get(self, request: Request) -> HttpResponse:
        """Reads what is remembered beside the database, and asks the storage nothing."""
        return self.page("overview.html", {"here": "overview"})
