"""
The pending restore: what gives a database that name, or takes it away. Each is one transaction.

    NOTHING ──make_pending──▶ PENDING ──make_pending──▶ PENDING   (another database)
    PENDING ──discard──▶ NOTHING
    PENDING ──set_aside──▶ NOTHING                                (it is named …_refused_…)

The last way out is in applying.py.
"""

import uuid
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

from backups.exceptions import NoPendingRestoreError, RestoreBlockedError
from backups.postgres import databases
from backups.postgres.control import Control
from backups.postgres.manifest import PENDING, Manifest, receipt_of, unknown_manifest
from backups.postgres.records import add_receipt
from backups.postgres.server import Connection
from backups.postgres.state import read_state, write_state
from backups.store import Receipt


def find_pending(connection: Connection, *, lock: bool = False) -> Manifest | None:
    """
    What is pending; None if nothing is.

    :param lock: as ``read_state``: so that only this transaction changes it.
    """
    return Manifest.of_state(read_state(connection, PENDING, lock=lock))


def lock_pending(connection: Connection, manifest: Manifest | None) -> None:
    """
    Let only the connection's transaction change what is pending.

    :param manifest: of what was found to be pending; None if nobody had staged it.
    :raises NoPendingRestoreError: nothing is pending any more.
    :raises RestoreBlockedError: another snapshot is pending now.
    """
    current = find_pending(connection, lock=True)
    if current is None and manifest is not None:
        raise NoPendingRestoreError("Nothing is pending.")
    if current is not None and (manifest is None or current.id != manifest.id):
        raise RestoreBlockedError("Another snapshot is pending now. That stays pending.")


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
            with _naming_sessions(control):
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
    databases.drop_if_possible(control, going)
    return staged


def replace_pending(control: Control, name: str, old: Manifest, new: Manifest) -> None:
    """
    Let a migrated copy take the place of what is pending. Nobody stages anything by this.

    :raises NoPendingRestoreError: nothing is pending any more.
    :raises RestoreBlockedError: another snapshot is pending now.
    """
    going = control.names.going()
    with control.transaction() as connection:
        lock_pending(connection, old)
        with _naming_sessions(control):
            databases.rename(connection, control.names.pending, going)
        databases.rename(connection, name, control.names.pending)
        put(connection, new)
    databases.drop_if_possible(control, going)


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
            with _naming_sessions(control):
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
    databases.drop_if_possible(control, going if is_there else None)
    return manifest or unknown_manifest()


def set_aside(
    control: Control, manifest: Manifest | None, reason: str, *, by: str | None = None
) -> Receipt:
    """
    Give what is pending another name, since it can't be applied, and return the receipt.

    :param manifest: of what can't be applied; None for what nobody has staged.
    :raises NoPendingRestoreError: it has been discarded.
    :raises RestoreBlockedError: another snapshot is pending now.
    """
    moment = datetime.now(UTC)
    with control.transaction() as connection:
        lock_pending(connection, manifest)
        name = databases.free_name(
            connection, lambda attempt: control.names.refused(moment, attempt)
        )
        is_there = databases.is_ours(connection, control.names.pending)
        if is_there:
            with _naming_sessions(control):
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


def _naming_sessions(control: Control) -> AbstractContextManager[None]:
    return databases.naming_sessions(
        control,
        control.names.pending,
        RestoreBlockedError,
        hint="Nothing has changed. End that session, then try again.",
    )
