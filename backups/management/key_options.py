"""What the commands about API keys share: where the keys are, and when a key expires."""

import argparse
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backups.keys.entries import end_of_day
from backups.site.local_store import key_file

MOST_DAYS = 36_500  # a hundred years: more is a mistake


def chosen_key_file() -> Path:
    """Where the API keys are. :raises CommandError: there is no place for them."""
    if (path := key_file()) is None:
        raise CommandError(
            "There is no place for the file of API keys, because the database is not a file. Set"
            " BACKUPS_KEY_FILE, or BACKUPS_FOLDER."
        )
    return path


def add_expiry(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add ``--expires`` and ``--days``, which exclude each other."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--expires",
        type=_day,
        metavar="YYYY-MM-DD",
        help=f"the last day on which the key works, in UTC (default: {default})",
    )
    either.add_argument(
        "--days", type=_days, metavar="N", help="the same, as a number of days from today"
    )


def expiry(options: dict[str, Any]) -> datetime | None:
    """When the key expires by these options; None without them."""
    if options.get("expires") is not None:
        return end_of_day(options["expires"])
    if options.get("days") is not None:
        return end_of_day(_today() + timedelta(days=options["days"]))
    return None


def _day(given: str) -> date:
    try:
        day = date.fromisoformat(given)
    except ValueError as error:
        raise ArgumentTypeError(f"{given!r} is not a date such as 2027-01-31") from error
    if not _today() <= day <= _today() + timedelta(days=MOST_DAYS):
        raise ArgumentTypeError(f"{given} is past, or more than {MOST_DAYS} days ahead")
    return day


def _days(given: str) -> int:
    is_number = given.isascii() and given.isdigit() and len(given) < 10
    if not is_number or not 0 < int(given) <= MOST_DAYS:
        raise ArgumentTypeError(f"{given!r} is not a number of days from 1 to {MOST_DAYS}")
    return int(given)


def _today() -> date:
    return datetime.now(UTC).date()
