"""Checks of the settings of scheduled backups, each with a hint."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from backups.conf import conf
from backups.exceptions import BadScheduleError
from backups.schedule import cron
from backups.site import local_store

VERIFY = ("always", "daily", "never")
LONGEST_JITTER = 24 * 3600


def check_schedule(**_: Any) -> list[CheckMessage]:
    """Check the schedule, what happens after a scheduled backup, and the one before migrations."""
    return [*_schedule(), *_jitter(), *_verify(), *_before_migrate()]


def _schedule() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_SCHEDULE", "")
    if given == "":
        return
    try:
        if not isinstance(given, str):
            raise BadScheduleError(f"{given!r} is not text.")
        cron.explain(given)
        cron.next_due(given, datetime.now(UTC))
    except BadScheduleError as error:
        yield Error(
            f"BACKUPS_SCHEDULE: {error} No scheduled backup is taken.",
            hint="Set five fields: minute, hour, day of the month, month, day of the week. '0 3 * *"
            " *' is every day at 3:00. Words such as '@hourly' and '@daily' work too.",
            id="backups.E090",
        )
        return
    if not local_store.has_store():
        yield CheckWarning(
            "BACKUPS_SCHEDULE is set, and the database of BACKUPS_DATABASE is neither SQLite in a"
            " file nor PostgreSQL, or its driver is missing: each scheduled backup will fail.",
            hint="Remove BACKUPS_SCHEDULE, or let BACKUPS_DATABASE name another database.",
            id="backups.W094",
        )


def _jitter() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_SCHEDULE_JITTER", 0)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and math.isfinite(given) and 0 <= given <= LONGEST_JITTER:
        return
    yield Error(
        f"BACKUPS_SCHEDULE_JITTER should be a number of seconds from 0 to {LONGEST_JITTER:,}, not"
        f" {given!r}.",
        hint="Remove it to begin each backup when it is due.",
        id="backups.E091",
    )


def _verify() -> Iterator[CheckMessage]:
    if (given := getattr(settings, "BACKUPS_VERIFY", "daily")) in VERIFY:
        return
    yield Error(
        f"BACKUPS_VERIFY should be 'always', 'daily' or 'never', not {given!r}.",
        hint="Remove it to verify the newest snapshot once a day.",
        id="backups.E092",
    )


def _before_migrate() -> Iterator[CheckMessage]:
    if not isinstance(given := getattr(settings, "BACKUPS_BEFORE_MIGRATE", False), bool):
        yield Error(
            f"BACKUPS_BEFORE_MIGRATE should be True or False, not {given!r}.",
            hint="Remove it to store nothing before migrate.",
            id="backups.E093",
        )
    elif conf.before_migrate and not local_store.has_store():
        yield CheckWarning(
            "BACKUPS_BEFORE_MIGRATE is True, and the database of BACKUPS_DATABASE is neither SQLite"
            " in a file nor PostgreSQL: migrate goes on without a snapshot.",
            hint="Set it to False. Before migrate, back that database up with its own tools.",
            id="backups.W095",
        )
