"""The receipts of restores, downloads and stored snapshots, as rows of the control database."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from backups.postgres.control import add_record, read_records
from backups.postgres.server import Connection
from backups.store import Download, Receipt

RESTORES, DOWNLOADS, BACKUPS = "restore", "download", "backup"
CONCLUSIONS = ("applied", "refused", "blocked")  # the outcomes of a try to apply
_RECEIPT = {field.name for field in fields(Receipt)}
_DOWNLOAD = {field.name for field in fields(Download)}


def add_receipt(connection: Connection, receipt: Receipt) -> None:
    """Add one, as a part of the connection's transaction."""
    add_record(connection, RESTORES, _plain(asdict(receipt)))


def read_receipts(connection: Connection) -> list[Receipt]:
    """Every receipt of a restore, the newest first."""
    found = []
    for value in read_records(connection, RESTORES):
        known = {name: each for name, each in value.items() if name in _RECEIPT}
        try:
            moments = {name: _moment(known.get(name)) for name in ("at", "staged_at")}
            lists = {name: tuple(known.get(name) or ()) for name in ("migrations", "removed")}
            found.append(Receipt(**{**known, **moments, **lists}))
        except (TypeError, ValueError):  # changed by hand
            continue
    return found


def add_download(connection: Connection, download: Download) -> None:
    """Add one."""
    add_record(connection, DOWNLOADS, _plain(asdict(download)))


def read_downloads(connection: Connection) -> list[Download]:
    """Every download, the newest first, each as it was last recorded."""
    found: dict[str, Download] = {}
    for value in reversed(read_records(connection, DOWNLOADS)):
        known = {name: each for name, each in value.items() if name in _DOWNLOAD}
        try:
            download = Download(**{**known, "at": _moment(known["at"])})
        except (KeyError, TypeError, ValueError):
            continue
        found[download.id] = download
    return list(found.values())[::-1]


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: each.isoformat() if isinstance(each, datetime) else each
        for name, each in value.items()
    }


def _moment(value: Any) -> Any:
    return value if value is None else datetime.fromisoformat(value)
