"""
Clear what a process caches of the database when a restore has replaced its content.

A restore without a restart happens in one process. The others notice it by the receipts beside the
database: each request checks that file first, with one stat(2). A database on a server has no such
file. There a restore ends every connection, and each new one asks whether its database is still the
same.
"""

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.signals import request_started
from django.db.backends.signals import connection_created

from backups.signals import content_replaced
from backups.site import local_store

Mark = tuple[int, int]  # time of the last write in nanoseconds, and bytes


class Watch:
    """Notices when the receipts have changed."""

    def __init__(self, receipts: Path) -> None:
        """Ignores the receipts that are there already."""
        self._receipts = receipts
        self._seen = self._mark()

    def look(self, **_: object) -> None:
        """Clear the caches if the receipts have changed. A receiver of ``request_started``."""
        if (mark := self._mark()) != self._seen:
            self._seen = mark
            forget()

    def _mark(self) -> Mark:
        with suppress(OSError):  # none yet, or in a folder that this user may not enter
            stat = os.stat(self._receipts)
            return stat.st_mtime_ns, stat.st_size
        return 0, 0


class ServerWatch:
    """Notices when another database of the server has got the name of the live one."""

    QUERY = "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()"

    def __init__(self, alias: str) -> None:
        """Asks nothing yet: the first connection finds what later ones are compared with."""
        self._alias = alias
        self._seen: dict[str, int] = {}  # by the name: a test has a database of its own

    def look(self, *, connection: Any, **_: object) -> None:
        """Clear the caches if one has. A receiver of ``connection_created``. Never raises."""
        if connection.alias != self._alias:
            return
        with suppress(Exception):  # of the driver: the site's own query will meet it again
            name, oid = connection.settings_dict["NAME"], self._ask(connection.connection)
            if self._seen.setdefault(name, oid) != oid:
                self._seen[name] = oid
                forget()
            # A restart of the server has ended this process's presence too.
            local_store.get_store(self._alias).regain_presence()

    def _ask(self, connection: Any) -> int:
        """On the driver's own connection, so that Django counts no query of the site."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(self.QUERY)
            (oid,) = cursor.fetchone()
        if not connection.autocommit:
            connection.rollback()  # else the site would begin in our transaction
        return int(oid)


def watch_server(alias: str) -> None:
    """Check which database it is at the start of every connection of this process to it."""
    connection_created.connect(
        ServerWatch(alias).look, weak=False, dispatch_uid=f"backups oid {alias}"
    )


def watch(receipts: Path) -> None:
    """Check the receipts at the start of every request of this process."""
    request_started.connect(Watch(receipts).look, weak=False, dispatch_uid=f"backups {receipts}")


def forget() -> None:
    """Clear Django's caches of rows, and let the site's own apps clear theirs."""
    if apps.is_installed("django.contrib.contenttypes"):
        from django.contrib.contenttypes.models import ContentType

        ContentType.objects.clear_cache()
    if apps.is_installed("django.contrib.sites"):
        from django.contrib.sites.models import Site

        Site.objects.clear_cache()
    if apps.is_installed("django.contrib.postgres"):
        from django.contrib.postgres import signals

        known: tuple[Any, ...] = (signals.get_hstore_oids, signals.get_citext_oids)
        for each in known:  # in another database a type has another oid
            each.cache_clear()
    content_replaced.send_robust(sender=None)
