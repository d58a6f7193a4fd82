"""Say what to do if the site's own apps are not ready in time after a restore."""

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.apps import apps

from backups.store import Receipt

SECONDS = 30.0  # most sites are ready in one or two
NEWS = timedelta(days=7)  # what is applied longer ago is hardly why

logger = logging.getLogger(__name__)


def watch(receipts: list[Receipt]) -> None:
    """
    Wait in a thread until all apps are ready, and log what to do if that takes too long. Does
    nothing unless the last restore was applied lately.

    :param receipts: the newest first.
    """
    applied = next((each for each in receipts if each.outcome == "applied"), None)
    if applied is None or datetime.now(UTC) - applied.at > NEWS:
        return
    with suppress(RuntimeError):  # the system refuses a thread
        threading.Thread(target=_wait, args=(applied,), daemon=True).start()


def _wait(applied: Receipt) -> None:
    if not apps.ready_event.wait(SECONDS):
        logger.warning(
            "the site's apps are not ready after %g seconds. A restore was applied at %s: if they"
            " hang on that database, take it back with: manage.py restore_db --undo, then start"
            " the server again",
            SECONDS,
            f"{applied.at:%Y-%m-%d %H:%M:%S} UTC",
        )
