"""
Checks of the databases that are on a PostgreSQL server. Only ``check --database`` asks the server.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.db import connections

from backups.archive.storage import ALIAS
from backups.conf import conf
from backups.exceptions import BackupError, BackupNotSupportedError
from backups.site import local_store

SET = "In DATABASES[{alias!r}], set: {option}"


def check_servers(**_: Any) -> list[CheckMessage]:
    """Check the driver, whether connections outlive a restore, and the place of snapshots."""
    return [message for alias in local_store.server_aliases() for message in _messages(alias)]


def check_ready(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Ask the server, and look for its programs: a restore must find all that it needs."""
    found: list[CheckMessage] = []
    for alias in set(databases or ()).intersection(local_store.server_aliases()):
        try:
            local_store.get_store(alias).check_ready()
        except BackupError as error:
            words = f"Backups of the database {alias!r} are not ready: {error}"
            found.append(CheckWarning(words, hint=error.hint, id="backups.W143"))
    return found


def _messages(alias: str) -> Iterator[CheckMessage]:
    yield from _driver(alias)
    yield from _connections(alias)
    if alias == conf.database:
        yield from _place(alias)


def _driver(alias: str) -> Iterator[CheckMessage]:
    """Django can use psycopg 2, and then the site runs without this."""
    try:
        local_store.get_store(alias)
    except BackupNotSupportedError as error:
        yield Error(str(error), hint=error.hint, id="backups.E142")


def _connections(alias: str) -> Iterator[CheckMessage]:
    given = connections[alias].settings_dict
    has_pool = bool((given.get("OPTIONS") or {}).get("pool"))
    if given.get("CONN_HEALTH_CHECKS") or not (has_pool or given.get("CONN_MAX_AGE") != 0):
        return
    kept = "a pool keeps" if has_pool else "CONN_MAX_AGE keeps"
    yield CheckWarning(
        f"A restore without a restart ends every connection to the database {alias!r}, and {kept}"
        " connections open for later requests: the first query on each of them would fail.",
        hint=SET.format(alias=alias, option='"CONN_HEALTH_CHECKS": True'),
        id="backups.W140",
    )


def _place(alias: str) -> Iterator[CheckMessage]:
    if ALIAS in settings.STORAGES or conf.folder is not None:
        return
    yield CheckWarning(
        f"There is no lasting place for stored snapshots of the database {alias!r}: it is not in a"
        " file, so there is no folder beside it.",
        hint=f"Set STORAGES[{ALIAS!r}], best on another machine, or BACKUPS_FOLDER, a folder of the"
        " site's user alone.",
        id="backups.W141",
    )
