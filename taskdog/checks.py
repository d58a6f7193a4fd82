"""Settings that the site relies on; each way to get one wrong has a number and a hint."""

import os
import shlex
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004


def check_transactions(**kwargs: Any) -> list[CheckMessage]:
    """
    Services check a rule and then write; in SQLite only IMMEDIATE keeps other writers out between.
    """
    if "sqlite3" not in settings.DATABASES["default"]["ENGINE"]:
        return []
    options = settings.DATABASES["default"].get("OPTIONS")
    if isinstance(options, dict) and str(options.get("transaction_mode")).upper() == "IMMEDIATE":
        return []
    return [
        Error(
            "The default database does not begin its transactions as IMMEDIATE.",
            hint="Set DATABASES['default']['OPTIONS']['transaction_mode'] to 'IMMEDIATE'.",
            id="taskdog.E001",
        )
    ]


def check_local_times(**kwargs: Any) -> list[CheckMessage]:
    """The clients cannot compare times with an offset to their own, which have none."""
    if not settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is on, so times would be stored and sent with an offset.",
            hint="Set USE_TZ = False; TASKDOG_TIME_ZONE chooses the zone of local times.",
            id="taskdog.E002",
        )
    ]


def check_authentication(**kwargs: Any) -> list[CheckMessage]:
    """Open tasks are for a machine with one user, not for a server."""
    if settings.TASKDOG_AUTH_ENABLED:
        return []
    return [
        Warning(
            "TASKDOG_AUTH_ENABLED is off: anybody who reaches the server can change its tasks.",
            hint="Remove it from the environment, and make keys with manage.py create_api_key.",
            id="taskdog.W001",
        )
    ]


def check_data_folder(**kwargs: Any) -> list[CheckMessage]:
    """Other users could see what is there, and lock the folder or put files into it."""
    folder = settings.TASKDOG_DATA_DIR
    mode = os.stat(folder).st_mode & 0o777
    if not mode & 0o007:
        return []
    return [
        Warning(
            f"The data folder {folder} is open to every user of this machine (mode {mode:04o}).",
            hint=f"Close it with: chmod o-rwx {shlex.quote(str(folder))} (in a unit of systemd:"
            " StateDirectoryMode=0700).",
            id="taskdog.W060",
        )
    ]
