"""What happened: to restores, to stored snapshots, and who has taken a copy away."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.utils.translation import gettext
from rest_framework.request import Request

from backups.page import happened
from backups.page.base import PageView

ON_A_PAGE = 25


class HistoryPage(PageView):
    """The receipts, newest first."""

    def get(self, request: Request) -> HttpResponse:
        """A page of them. What is about restores is for those who may restore."""
        kinds = self._kinds()
        kind = request.GET.get("kind", "")
        kind = kind if kind in kinds and len(kinds) > 1 else ""
        events = happened.list_events([kind] if kind else list(kinds))
        shown = Paginator(events, ON_A_PAGE).get_page(request.GET.get("page"))
        words = {
            "here": "history",
            "kinds": kinds if len(kinds) > 1 else {},
            "kind": kind,
            "shown": shown,
            "events": [tell() for tell in shown],
        }
        return self.page("history.html", words)

    def _kinds(self) -> dict[str, str]:
        """What the caller may see, with its name."""
        kinds = {happened.BACKUPS: gettext("Backups")}
        if self.may_restore:
            kinds[happened.RESTORES] = gettext("Restores")
            kinds[happened.DOWNLOADS] = gettext("Downloads")
        return kinds
