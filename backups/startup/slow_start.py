"""
A start that hangs after a restore.

Django makes every app ready before it serves, and before it runs a command. If an app queries the
database then, a restored one may keep it waiting for ever. So if the apps are not ready in time,
the log says what to do: run a command of this app. Such a command hangs as well, so it starts again
without making the other apps ready: nothing can end the query from outside.
"""

import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.apps import apps

from backups.store import Receipt

SECONDS = 30.0  # most sites are ready in one or two
NEWS = timedelta(days=7)  # an older restore is hardly the cause
AGAIN = "_BACKUPS_BEGUN_AGAIN"  # in the environment of a command that was started again

logger = logging.getLogger(__name__)


def watch(receipts: list[Receipt], *, is_command: bool) -> None:
    """
    Wait in a thread until all apps are ready; if that takes too long, log what to do. Does nothing
    unless a restore was applied in the last seven days, and nothing under uWSGI.

    Call it from this app's ``ready``: the apps before it are ready by then.

    :param receipts: newest first.
    :param is_command: this process runs a command of this app: start it again without the others.
    """
    applied = next((each for each in receipts if each.outcome == "applied"), None)
    if applied is None or datetime.now(UTC) - applied.at > NEWS:
        return
    if is_command and AGAIN in os.environ:
        _leave_others()
        return
    if "uwsgi" in sys.modules:
        # It forks its workers without telling Python. If this thread runs at that moment, they wait
        # for the lock that it holds for ever.
        return
    with suppress(RuntimeError):  # the system refused to start a thread
        threading.Thread(target=_wait, args=(applied, is_command), daemon=True).start()


def _wait(applied: Receipt, is_command: bool) -> None:
    if apps.ready_event.wait(SECONDS):
        return
    when = f"{applied.at:%Y-%m-%d %H:%M:%S} UTC"
    if is_command:
        logger.warning(
            "the site's apps are not ready after %g seconds, perhaps because of a query on the"
            " database that was restored at %s: this command starts again without them",
            SECONDS,
            when,
        )
        words = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, words, os.environ | {AGAIN: "1"})  # noqa: S606
    logger.warning(
        "the site's apps are not ready after %g seconds. A restore was applied at %s: if they hang"
        " on that database, undo it with: manage.py restore_db --undo, then start the server again",
        SECONDS,
        when,
    )


def _leave_others() -> None:
    for config in apps.get_app_configs():
        if config.name != "backups":
            config.ready = lambda: None  # type: ignore[method-assign]
