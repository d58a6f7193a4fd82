"""
Clear what a process caches of the database when a restore has replaced its content.

A restore without a restart happens in one process. The others see it in the receipts beside the
database: each request checks that file first, with one stat(2).
"""

import os
from contextlib import suppress
from pathlib import Path

from django.apps import apps
from django.core.signals import request_started

from backups.signals import content_replaced

Mark = tuple[int, int]  # time of the last write in nanoseconds, and bytes


class Watch:
    """Notices when the receipts have changed."""

    def __init__(self, receipts: Path) -> None:
        """Ignores the receipts that are there already."""
        self._receipts = receipts
        self._seen = self._mark()

    def look(self, **_: object) -> None:
        """Clear the caches if the receipts have changed. A receiver of ``request_started``."""
        if (mark := self._mark()) != self._seen:
            self._seen = mark
            forget()

    def _mark(self) -> Mark:
        with suppress(OSError):  # none yet, or in a folder that this user may not enter
            stat = os.stat(self._receipts)
            return stat.st_mtime_ns, stat.st_size
        return 0, 0


def watch(receipts: Path) -> None:
    """Check the receipts at the start of every request of this process."""
    request_started.connect(Watch(receipts).look, weak=False, dispatch_uid=f"backups {receipts}")


def forget() -> None:
    """Clear Django's caches of rows, and let the site's own apps clear theirs."""
    if apps.is_installed("django.contrib.contenttypes"):
        from django.contrib.contenttypes.models import ContentType

        ContentType.objects.clear_cache()
    if apps.is_installed("django.contrib.sites"):
        from django.contrib.sites.models import Site

        Site.objects.clear_cache()
    content_replaced.send_robust(sender=None)
