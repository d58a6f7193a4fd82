"""
A database that is missing when a process starts, and is created later, e.g. by ``migrate``.

A start does not hold presence of it: that would put a lock file into a folder that may not be ours.
The process does so when it first connects. Otherwise the next process to start would believe that
it is alone, and replace the file under an open connection.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import OperationalError
from django.db.backends.signals import connection_created

from backups import services
from backups.exceptions import BackupError
from backups.site import caches, local_store

logger = logging.getLogger(__name__)


def watch() -> None:
    """Hold presence of each missing database as soon as this process connects to it."""
    if absent := local_store.absent_databases():
        connection_created.connect(
            _Late(absent).join, weak=False, dispatch_uid="backups late databases"
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


def _inode(database: Path) -> int | None:
    with suppress(OSError):
        return os.stat(database).st_ino
    return None
