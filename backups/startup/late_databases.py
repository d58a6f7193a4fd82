"""
A database that is missing when a process starts, and is created later, e.g. by ``migrate``; or one
on a server that does not answer when a process starts.

A start does not hold presence of it: that would put a lock file into a folder that may not be ours,
or can't be done. The process does so when it first connects. Otherwise the next process to start
would believe that it is alone, and replace the database under an open connection.
"""

import logging
import math
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from backups import services
from backups.exceptions import BackupError
from backups.site import caches, local_store

AGAIN_AFTER_SECONDS = 60.0  # to try again what failed, and not at every request

logger = logging.getLogger(__name__)


def watch() -> None:
    """Hold presence of each missing database as soon as this process connects to it."""
    if absent := local_store.absent_databases():
        connection_created.connect(
            _Late(absent).join, weak=False, dispatch_uid="backups late databases"
        )
    if aliases := local_store.server_aliases():
        connection_created.connect(
            _OnServers(aliases).join, weak=False, dispatch_uid="backups databases on servers"
        )


class _Late:
    """The databases of which this process does not hold presence yet."""

    def __init__(self, absent: dict[str, Path]) -> None:
        self._absent = absent

    def join(self, connection: Any, **_: object) -> None:
        """A receiver of ``connection_created``."""
        alias = connection.alias
        around = local_store.paths(alias)
        if alias not in self._absent or around is None or around.database != self._absent[alias]:
            return  # already held, or this is a test database in its place
        before = _inode(around.database)
        try:
            services.hold_presence_of(alias)
        except (BackupError, OSError) as error:
            logger.info("no restore of the database %r can be applied: %s", alias, error)
        self._absent.pop(alias, None)
        caches.watch(around.receipts)
        if _inode(around.database) != before:  # by the restore that this call waited for
            connection.close()
            raise OperationalError(f"{around.database} was just replaced. Connect again.")


class _OnServers:
    """
    The databases on servers, until this process has connected to them while it held presence. To
    hold it where it is held already costs nothing.
    """

    def __init__(self, aliases: Iterable[str]) -> None:
        self._names = {alias: connections[alias].settings_dict["NAME"] for alias in aliases}
        self._tried_at = dict.fromkeys(self._names, -math.inf)

    def join(self, connection: Any, **_: object) -> None:
        """A receiver of ``connection_created``."""
        alias, now = connection.alias, time.monotonic()
        if now - self._tried_at.get(alias, now) < AGAIN_AFTER_SECONDS:
            return  # not one of these, or it has just failed
        if connection.settings_dict["NAME"] != self._names[alias]:
            return  # a test database: what is held beside it would be left on the server
        try:
            services.hold_presence_of(alias)
            del self._tried_at[alias]
        except (BackupError, OSError) as error:
            self._tried_at[alias] = now
            logger.info("no presence of the database %r can be held: %s", alias, error)


def _inode(database: Path) -> int | None:
    with suppress(OSError):
        return os.stat(database).st_ino
    return None
