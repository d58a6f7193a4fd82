"""
The pending restore: what gives a database that name, or takes it away. Each is one transaction.

    NOTHING ──make_pending──▶ PENDING ──make_pending──▶ PENDING   (another database)
    PENDING ──discard──▶ NOTHING
    PENDING ──set_aside──▶ NOTHING                                (it is named …_refused_…)

The last way out is in applying.py.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from backups.exceptions import (
    BackupError,
    NoPendingRestoreError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.postgres import databases
from backups.postgres.control import Control, read_state, write_state
from backups.postgres.manifest import PENDING, Manifest, receipt_of
from backups.postgres.records import add_receipt
from backups.postgres.server import Connection
from backups.store import Receipt

logger = logging.getLogger(__name__)


def find_pending(connection: Connection, *, lock: bool = False) -> Manifest | None:
    """
    What is pending; None if nothing is.

    :param lock: as ``read_state``: so that only this transaction changes it.
    """
    return Manifest.of_state(read_state(connection, PENDING, lock=lock))


def make_pending(control: Control, name: str, manifest: Manifest, seconds: float) -> Manifest:
    """
    Give a judged database the pending name: the commit of staging. It takes the place of what was
    pending.

    :raises BackupError: the server refuses; what was pending still is.
    """
    staged = replace(manifest, staged_at=datetime.now(UTC))
    names, going = control.names, None
    with control.transaction() as connection:
        find_pending(connection, lock=True)
        if databases.is_ours(connection, names.pending):
            going = names.going()
            with _in_use(control):
                databases.rename(connection, names.pending, going)
        if not databases.exists(connection, name):
            raise RestoreBlockedError(f"The database {name} is gone: it can't be staged.")
        databases.rename(connection, name, names.pending)
        put(connection, staged)
        add_receipt(
            connection,
            receipt_of(
                staged.staged_at,
                "staged",
                "",
                staged,
                number=str(uuid.uuid4()),
                seconds=seconds,
                by=staged.staged_by,
            ),
        )
    drop_if_possible(control, going)
    return staged


def replace_pending(control: Control, name: str, old: Manifest, new: Manifest) -> None:
    """
    Let a migrated copy take the place of what is pending. Nobody stages anything by this.

    :raises RestoreBlockedError: another snapshot is pending now.
    """
    going = control.names.going()
    with control.transaction() as connection:
        _check_pending(connection, old)
        with _in_use(control):
            databases.rename(connection, control.names.pending, going)
        databases.rename(connection, name, control.names.pending)
        put(connection, new)
    drop_if_possible(control, going)


def begin_try(control: Control, manifest: Manifest, most: int) -> Manifest:
    """
    Count one more start that begins its migrations, before it does.

    :raises RestoreRefusedError: so many have, and none has finished them.
    """
    if manifest.tries >= most:
        raise RestoreRefusedError(
            f"{manifest.tries} start{'s' * (manifest.tries > 1)} began its migrations, and none"
            " finished them (BACKUPS_MIGRATE_TRIES). No more starts try."
        )
    begun = replace(manifest, tries=manifest.tries + 1)
    with control.transaction() as connection:
        _check_pending(connection, manifest)
        put(connection, begun)
    logger.warning(
        "this start runs the migrations of the pending restore first: try %d of %d",
        begun.tries,
        most,
    )
    return begun


def put(connection: Connection, manifest: Manifest | None) -> None:
    """Let this be what is pending, as a part of the connection's transaction."""
    write_state(connection, PENDING, None if manifest is None else manifest.to_state())


def discard(control: Control, *, discarded_by: str) -> Manifest:
    """
    Let nothing be pending.

    :raises NoPendingRestoreError: nothing is.
    """
    names, going = control.names, control.names.going()
    with control.transaction() as connection:
        manifest = find_pending(connection, lock=True)
        is_there = databases.is_ours(connection, names.pending)
        if manifest is None and not is_there:
            raise NoPendingRestoreError("Nothing is pending.")
        if is_there:
            with _in_use(control):
                databases.rename(connection, names.pending, going)
        put(connection, None)
        add_receipt(
            connection,
            receipt_of(
                datetime.now(UTC),
                "discarded",
                "",
                manifest,
                number=str(uuid.uuid4()),
                by=discarded_by,
            ),
        )
    drop_if_possible(control, going if is_there else None)
    return manifest or unknown()


def set_aside(
    control: Control, manifest: Manifest | None, reason: str, *, by: str | None = None
) -> Receipt:
    """
    Give what is pending another name, since it can't be applied, and return the receipt.

    :param manifest: of what can't be applied; None for what nobody has staged.
    :raises RestoreBlockedError: another snapshot is pending now.
    """
    moment = datetime.now(UTC)
    with control.transaction() as connection:
        _check_pending(connection, manifest)
        name = free_name(connection, lambda attempt: control.names.refused(moment, attempt))
        is_there = databases.is_ours(connection, control.names.pending)
        if is_there:
            with _in_use(control):
                databases.rename(connection, control.names.pending, name)
        put(connection, None)
        receipt = receipt_of(
            moment,
            "refused",
            reason,
            manifest,
            number=str(uuid.uuid4()),
            kept=name if is_there else None,
            by=by,
        )
        add_receipt(connection, receipt)
    return receipt


def _check_pending(connection: Connection, manifest: Manifest | None) -> None:
    """Let only this transaction change what is pending, if it is this one still."""
    current = find_pending(connection, lock=True)
    if (current and current.id) != (manifest and manifest.id):
        raise RestoreBlockedError("Another snapshot is pending now. That stays pending.")


@contextmanager
def _in_use(control: Control) -> Iterator[None]:
    """Say who looks into what is pending, so that it can't be renamed."""
    try:
        yield
    except databases.IN_USE as error:
        name = control.names.pending
        raise RestoreBlockedError(
            f"The database {name} could not be renamed: it is in use by"
            f" {databases.who_is_in_the_way(control, name)}.",
            hint="Nothing has changed. End that session, then try again.",
        ) from error


def record_blocked(control: Control, manifest: Manifest, reason: str) -> Receipt:
    """The receipt of a start that could not apply what is pending. It stays pending."""
    receipt = receipt_of(datetime.now(UTC), "blocked", reason, manifest, number=str(uuid.uuid4()))
    with control.session() as connection:
        add_receipt(connection, receipt)
    return receipt


def free_name(connection: Connection, name: Callable[[int], str]) -> str:
    """The first of these names that no database has."""
    attempt = 1
    while databases.exists(connection, name(attempt)):
        attempt += 1
    return name(attempt)


def drop_if_possible(control: Control, *names: str | None) -> None:
    """Drop what was renamed to go. A sweep drops what stays."""
    for name in filter(None, names):
        with suppress(BackupError, psycopg.Error):
            databases.drop_now(control, name)


def unknown() -> Manifest:
    """For a database of the pending name that was not staged: somebody renamed it to that."""
    return Manifest(
        id="", size=0, sha256="", staged_at=datetime.now(UTC), staged_by="unknown", migrations=()
    )
