"""Warn if snapshots contain login sessions: with a session's key, anybody is logged in."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from backups.conf import conf
from backups.site import local_store
from backups.site.sessions import databases_with_sessions

ELSEWHERE = (
    "Let SESSION_ENGINE keep them elsewhere: in files (django.contrib.sessions.backends.file, and"
    " SESSION_FILE_PATH in a folder of mode 0700), in a cache that is not in this database (they"
    " end when it is restarted), or in signed cookies (which no logout ends)."
)
LEFT_OUT = " Until then take compact snapshots: they leave the sessions out, the pages have them."
NOT_LEFT_OUT = (
    " Until then set BACKUPS_CLEAR_SESSIONS = True: compact snapshots, and dumps, leave them out."
)


def check_sessions(**_: Any) -> list[CheckMessage]:
    """Warn of each database with the site's login sessions that a snapshot can be taken of."""
    return [
        CheckWarning(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}: its login sessions are in the table"
            f" {table} of the database {alias!r}, and so in its snapshots. Anybody who gets a"
            " snapshot can act as any user who is logged in.",
            hint=ELSEWHERE + (LEFT_OUT if conf.clear_sessions else NOT_LEFT_OUT),
            id="backups.W055",
        )
        for alias, table in databases_with_sessions().items()
        if _may_be_in_a_snapshot(alias) and any(map(_has_sessions, settings.MIDDLEWARE))
    ]


def _may_be_in_a_snapshot(alias: str) -> bool:
    """The dump of a database on a server leaves them out, unless the site wants them in it."""
    is_left_out = conf.clear_sessions and alias in local_store.server_aliases()
    return local_store.has_store(alias) and not is_left_out


def _has_sessions(middleware: str) -> bool:
    """Without such a middleware nobody can log in, whatever the engine is."""
    if "session" in middleware.lower():  # also one that does not extend Django's
        return True
    try:
        found = import_string(middleware)
    except ImportError:  # then the site does not start
        return False
    return isinstance(found, type) and issubclass(found, SessionMiddleware)
