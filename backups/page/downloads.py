"""Downloads from the pages: the API's own, for the session of a browser."""

from backups.api.archive_views import StoredDownloadView
from backups.api.views import BackupView
from backups.page.base import BACK_UP, PageView


class DownloadNow(PageView, BackupView):
    """A snapshot of the database as it is now."""

    needs = (BACK_UP,)
    back = "snapshots"


class DownloadStored(PageView, StoredDownloadView):
    """A stored snapshot, as it is."""

    needs = (BACK_UP,)
    back = "snapshots"
