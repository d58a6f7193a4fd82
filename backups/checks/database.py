"""The check that looks into the database itself: ``check --database``, and every ``migrate``."""

from collections.abc import Sequence
from typing import Any

import django
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from backups.site import sqlite_site

FOR_EACH_CONNECTION = """in DATABASES[{alias!r}], then restart the site:
    "OPTIONS": {{
        "init_command": "PRAGMA journal_mode=WAL",
        "transaction_mode": "IMMEDIATE",
    }},"""
ONCE = (
    "once, while the site is stopped (Django before 5.1 has no option for it):\n"
    '    python manage.py shell -c "from django.db import connections;'
    " connections[{alias!r}].cursor().execute('PRAGMA journal_mode=WAL')\""
)


def check_journal_mode(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Recommend WAL mode for each database that is not in it, but could be."""
    return [
        _recommend(alias, mode)
        for alias in databases or ()
        if (mode := sqlite_site.journal_mode(alias)) not in ("", "wal")
    ]


def _recommend(alias: str, mode: str) -> CheckMessage:
    how = FOR_EACH_CONNECTION if django.VERSION >= (5, 1) else ONCE
    return CheckWarning(
        f"The database {alias!r} is in journal mode {mode}: writers wait while a snapshot of it is"
        " completed, and a write that waits longer than its timeout fails.",
        hint=f"Switch WAL mode on, in which writers never wait for a snapshot: {how}".format(
            alias=alias
        ),
        id="backups.W030",
    )
