"""
What each process of the site does before its first connection: apply, and hold presence.

``AppConfig.ready`` runs in every process: in gunicorn's master or in each of its workers, in every
command, and twice under ``runserver``, whose autoreloader is a parent that never serves.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from backups import services
from backups.conf import conf
from backups.exceptions import BackupError, BackupNotSupportedError
from backups.startup import command_line, slow_start
from backups.startup.command_line import CommandLine

ALLOW = "DJANGO_ALLOW_ASYNC_UNSAFE"

logger = logging.getLogger(__name__)


def start() -> None:
    """
    Apply the pending restore if this process may, and hold presence for the process's life.

    A problem with a restore or its folder never raises: the site starts with a whole database, and
    the log says what happened.
    """
    if conf.is_child:
        return
    with _in_any_event_loop():
        _start()


def _start() -> None:
    try:
        command = command_line.current()
        # Our commands show, stage or discard a restore, so it must not be applied first.
        if command.is_ours or command.only_tells:
            _watch(command)
            services.repair()
            return
        services.apply_pending_restore()
        _watch(command)
        if is_autoreload_parent(command):
            services.release_presence()  # else a reloaded child would never be alone
    except BackupError as error:
        logger.warning("no restore can be applied: %s %s", error, error.hint)
    except Exception:
        # The database is whole between any two steps, so the site can start after any error.
        logger.exception("no restore could be applied")
        _hold_presence_anyway()


@contextmanager
def _in_any_event_loop() -> Iterator[None]:
    """
    Let Django use the database in this block, even if an event loop is running: some ASGI servers
    load the site in theirs (``uvicorn --workers 2``). Nothing else runs in it meanwhile.

    Source: https://docs.djangoproject.com/en/stable/topics/async/#async-safety
    """
    before = os.environ.get(ALLOW)
    os.environ[ALLOW] = "true"
    try:
        yield
    finally:
        os.environ.pop(ALLOW)
        if before is not None:
            os.environ[ALLOW] = before


def _watch(command: CommandLine) -> None:
    with suppress(BackupNotSupportedError):
        slow_start.watch(services.list_receipts(), is_command=command.is_ours)


def _hold_presence_anyway() -> None:
    """After any error, this process will still use the database: no other may replace it."""
    try:
        services.hold_presence()
    except Exception:
        logger.exception("this process can't tell others that it uses the database")


def is_autoreload_parent(command: CommandLine) -> bool:
    """Whether this is the process of runserver that only starts another one, which serves."""
    return (
        command.name == "runserver"
        and "--noreload" not in command.options
        and os.environ.get(DJANGO_AUTORELOAD_ENV) != "true"
    )
