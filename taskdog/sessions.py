"""
Logins: each is a file in the data folder, where no snapshot of the database can have it.

The name of such a file is what is in the cookie, so the folder is for its owner only. A logout
removes the file, for every process of the site. So does a restore: whoever was logged in before
it has to log in again, since the content may be of a time before a login was ended.
"""

import logging
import os
import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import connection

from backups import services
from taskdog.transactions import is_postgres

logger = logging.getLogger(__name__)


def sweep() -> None:
    """
    Remove what is no login any more: expired ones, those of before a restore, and the rows of a
    release that kept them in the database. To be called when the server starts. Never raises:
    what fails is logged.
    """
    try:
        _end_before(time.time() - settings.SESSION_COOKIE_AGE)
        end_at_restore()
        _empty_table()
    except Exception as error:  # a lock, a missing table, a full disk
        logger.warning("expired logins were not removed: %s", error)


def end_at_restore(**_: object) -> None:
    """
    End every login that is older than the last restore that was applied. A receiver of
    ``content_replaced``; a start does it too.
    """
    receipts = services.list_receipts()
    applied = next((each for each in receipts if each.outcome == "applied"), None)
    if applied is not None:
        _end_before((applied.at + timedelta(seconds=applied.seconds)).timestamp())


def _end_before(moment: float) -> None:
    """The file of a login is as old as the login: this site changes none afterwards."""
    with os.scandir(settings.SESSION_FILE_PATH) as entries:
        for entry in entries:
            with suppress(OSError):  # it has just been ended, or is not a file
                if entry.stat(follow_symlinks=False).st_mtime <= moment:
                    os.unlink(entry)


def _empty_table() -> None:
    """The bytes go too, or the database's own pages would still have them."""
    from django.contrib.sessions.models import Session  # needs the apps to be ready

    if not services.is_readable() or not Session.objects.exists():
        return
    with connection.cursor() as cursor:
        if is_postgres():
            removed = Session.objects.count()
            cursor.execute("TRUNCATE django_session")  # a new file: a row that is deleted stays
        else:
            cursor.execute("PRAGMA secure_delete=ON").fetchall()
            removed, _ = Session.objects.all().delete()
    logger.info("removed %d logins from the database: they are files now", removed)
