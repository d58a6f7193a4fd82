"""
BACKUPS_BEFORE_MIGRATE: ``migrate`` stores a snapshot before it changes anything.

Django sends ``pre_migrate`` when it knows what it will run, and has run none of it: not for
``--plan`` or ``--check``. A receiver that raises ends the command. So this works in whichever
command migrates: a project may have its own.
"""

import os
import sys
from typing import Any, TextIO

from django.core.management.base import CommandError, OutputWrapper
from django.db import connections
from django.db.models.signals import pre_migrate

from backups.archive import services as archive
from backups.conf import conf
from backups.exceptions import BackupNotSupportedError
from backups.startup.serving import is_in_a_test

LABEL = "before-migrate"
SKIP = "BACKUPS_SKIP_BEFORE_MIGRATE"  # in the environment: migrate without a snapshot, this once


def watch() -> None:
    """From now on, each ``migrate`` of this process stores a snapshot first, if that is wanted."""
    pre_migrate.connect(_BeforeMigrate().store, weak=False, dispatch_uid="backups before migrate")


class _BeforeMigrate:
    """A receiver of ``pre_migrate``, which is sent once for each app."""

    def __init__(self) -> None:
        self._done: object = None  # the plan that a snapshot was stored for

    def store(
        self,
        *,
        using: str,
        plan: list[Any] | None = None,
        verbosity: int = 1,
        stdout: TextIO | None = None,
        **_: object,
    ) -> None:
        """
        Store a snapshot, if anything will be migrated that could lose something.

        :raises CommandError: it could not be stored, so nothing is migrated.
        """
        if plan is self._done or not plan or not conf.before_migrate or is_in_a_test():
            return
        if os.environ.get(SKIP, "0") not in ("", "0"):
            return
        if not connections[using].introspection.table_names():  # new: there is nothing to lose
            return
        words = _store(using)
        self._done = plan
        if verbosity >= 1:
            OutputWrapper(stdout or sys.stdout).write(words)


def _store(alias: str) -> str:
    """Returns what to say of it."""
    try:
        stored = archive.store(by="migrate", label=LABEL, database=alias)
    except BackupNotSupportedError as error:
        return f"No snapshot before these migrations: {error}"
    except Exception as error:
        raise CommandError(
            f"Nothing was migrated: no snapshot could be stored first. {error}"
            f" {getattr(error, 'hint', '')}\nTo migrate without one, this once: set {SKIP}=1 in the"
            " environment."
        ) from error
    where = archive.where(database=alias)
    return f"{stored.snapshot.name} is stored in {where}, from before these migrations."
