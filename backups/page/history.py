"""What happened: to restores, to stored snapshots, and who has taken a copy away."""

from django.http import HttpResponse
from rest_framework.request import Request

from backups.page.base import PageView


class HistoryPage(PageView):
    """The receipts, newest first."""

    def get(self, request: Request) -> HttpResponse:
        """A page of them. What is about restores is for those who may restore."""
        return self.page("history.html", {"here": "history"})
