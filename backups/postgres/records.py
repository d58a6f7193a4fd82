"""
The receipts of restores, downloads and stored snapshots, as rows of the control database.

The newest ``MOST_RECORDS`` of each kind stay.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from backups.exceptions import BackupError
from backups.postgres.control import Control
from backups.postgres.server import Connection
from backups.postgres.state import fit
from backups.store import Download, Receipt

logger = logging.getLogger(__name__)

RESTORES, DOWNLOADS, BACKUPS = "restore", "download", "backup"  # the kinds
CONCLUSIONS = ("applied", "refused", "blocked")  # the outcomes of a try to apply
MOST_RECORDS = 10_000  # of one kind; the oldest go
_RECEIPT = {field.name for field in fields(Receipt)}
_DOWNLOAD = {field.name for field in fields(Download)}


# Restores


def add_receipt(connection: Connection, receipt: Receipt) -> None:
    """Add one, as a part of the connection's transaction."""
    _add(connection, RESTORES, _plain(asdict(receipt)))


def read_receipts(connection: Connection) -> list[Receipt]:
    """Every receipt of a restore, the newest first."""
    found = []
    for value in _read(connection, RESTORES):
        known = {name: each for name, each in value.items() if name in _RECEIPT}
        try:
            moments = {name: _moment(known.get(name)) for name in ("at", "staged_at")}
            lists = {name: tuple(known.get(name) or ()) for name in ("migrations", "removed")}
            found.append(Receipt(**{**known, **moments, **lists}))
        except (TypeError, ValueError):  # changed by hand
            continue
    return found


def last_conclusion(receipts: list[Receipt]) -> Receipt | None:
    """The newest that says how a restore ended, of receipts from the newest on."""
    return next((each for each in receipts if each.outcome in CONCLUSIONS), None)


def list_receipts(control: Control) -> list[Receipt]:
    """As ``BackupStore.list_receipts``."""
    with control.if_there() as connection:
        return [] if connection is None else read_receipts(connection)


# Downloads


def record_download(control: Control, download: Download) -> None:
    """As ``BackupStore.record_download``."""
    try:
        with control.session() as connection:
            _add(connection, DOWNLOADS, _plain(asdict(download)))
    except BackupError as error:
        logger.warning(
            "no receipt could be written for the snapshot that %s takes: %s",
            download.by or "this process",
            error,
        )


def list_downloads(control: Control) -> list[Download]:
    """As ``BackupStore.list_downloads``: each as it was last recorded."""
    found: dict[str, Download] = {}
    for value in reversed(_read_if_there(control, DOWNLOADS)):
        known = {name: each for name, each in value.items() if name in _DOWNLOAD}
        try:
            download = Download(**{**known, "at": _moment(known["at"])})
        except (KeyError, TypeError, ValueError):
            continue
        found[download.id] = download
    return list(found.values())[::-1]


# Stored snapshots


def record_backup(control: Control, receipt: Mapping[str, Any]) -> None:
    """As ``BackupStore.record_backup``."""
    try:
        with control.session() as connection:
            _add(connection, BACKUPS, receipt)
    except BackupError as error:
        logger.warning(
            "no receipt could be written of what happened to a stored snapshot: %s", error
        )


def list_backup_receipts(control: Control) -> list[dict[str, Any]]:
    """As ``BackupStore.list_backup_receipts``."""
    return _read_if_there(control, BACKUPS)


# Of any kind


def _add(connection: Connection, kind: str, value: Mapping[str, Any]) -> None:
    (number,) = connection.execute(
        "INSERT INTO backups.record (kind, value) VALUES (%s, %s) RETURNING id",
        [kind, fit(value)],
    ).fetchone() or (0,)
    if number % 100 == 0:
        connection.execute(
            "DELETE FROM backups.record WHERE kind = %s AND id <= (SELECT id FROM backups.record"
            " WHERE kind = %s ORDER BY id DESC OFFSET %s LIMIT 1)",
            [kind, kind, MOST_RECORDS],
        )


def _read(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """The newest first."""
    rows = connection.execute(
        "SELECT value FROM backups.record WHERE kind = %s ORDER BY id DESC", [kind]
    )
    return [value for (value,) in rows if isinstance(value, dict)]


def _read_if_there(control: Control, kind: str) -> list[dict[str, Any]]:
    with control.if_there() as connection:
        return [] if connection is None else _read(connection, kind)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: each.isoformat() if isinstance(each, datetime) else each
        for name, each in value.items()
    }


def _moment(value: Any) -> Any:
    return value if value is None else datetime.fromisoformat(value)
