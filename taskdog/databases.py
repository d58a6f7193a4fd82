"""
Where the rows are: in a file of the data folder, or in PostgreSQL if TASKDOG_DATABASE_URL says so.

The URL may have a password, so no message shows it.
"""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from taskdog import environment

VARIABLE = "TASKDOG_DATABASE_URL"
DIRECT = "TASKDOG_DATABASE_DIRECT"
LIKE = "postgres://user:password@host:5432/name"
SCHEMES = ("postgres", "postgresql")
MAX_AGE_SECONDS = 60  # of a connection, so that the site follows a failover within a minute
# For libpq, unless the URL says otherwise: a start must not wait for ever for a host that is not
# there, and the server's list of sessions must show which are the site's.
OPTIONS = {"connect_timeout": 10, "application_name": "taskdog"}


def default(file: Path) -> dict[str, Any]:
    """
    The entry of DATABASES.

    :raises ImproperlyConfigured: the variable can't be understood, or names no PostgreSQL database.
    """
    url = environment.text(VARIABLE)
    return _postgres(url) if url else _sqlite(file)


def direct() -> dict[str, str]:
    """
    Where backups reach the server itself, if the URL names a pooler; empty if it names the server.

    :raises ImproperlyConfigured: the variable is not like ``host:port``.
    """
    given = environment.text(DIRECT)
    host, colon, port = given.rpartition(":")
    if given and not (host and colon and port.isdecimal()):
        raise ImproperlyConfigured(f"{DIRECT} is {given!r}; it must be like db.example.org:5432.")
    return {"host": host, "port": port} if given else {}


def _sqlite(file: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        # A connection lives as long as its thread. Closed after each request, the last one to
        # close would checkpoint the WAL and unlink it every time: a third of the writes per
        # second is lost to that.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 30,  # seconds to wait for another writer; SQLite's busy_timeout
            # A writer takes its turn before it reads, so what a service has checked still
            # holds when it writes, and no transaction fails halfway for want of the lock.
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            ),
        },
    }


def _postgres(url: str) -> dict[str, Any]:
    import dj_database_url  # here, since a site in a file needs neither of the two
    import psycopg

    if url.partition("://")[0] not in SCHEMES:
        raise _unusable("must begin with postgres://")
    try:
        entry: dict[str, Any] = dict(
            dj_database_url.parse(url, conn_max_age=MAX_AGE_SECONDS, conn_health_checks=True)
        )
        entry["OPTIONS"] = OPTIONS | entry.get("OPTIONS", {})
        psycopg.conninfo.make_conninfo(**entry["OPTIONS"])
    except ValueError:  # it may say a part of the password
        raise _unusable("can't be read") from None
    except psycopg.ProgrammingError as error:
        raise _unusable(f"can't be used: {str(error).strip()}") from None
    if not entry["NAME"]:
        raise _unusable("names no database")
    if "/" in entry["NAME"]:
        raise _unusable("has more than the name of a database after the host")
    return entry


def _unusable(reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{VARIABLE} {reason}. It must be like {LIKE}, or absent for SQLite in a file. In user and"
        " password, percent-encode all but letters and digits: @ is %40."
    )
