"""
The receipts: one JSON line for each thing that came of a restore, in a file beside the database.

Outside of the database on purpose: what a restore did must survive the restore.
"""

import json
import os
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from backups import files
from backups.sqlite.manifest import Manifest
from backups.sqlite.paths import StorePaths
from backups.store import Receipt


def make_receipt(
    moment: datetime,
    outcome: str,
    reason: str,
    manifest: Manifest | None,
    kept: Path | None,
    seconds: float,
) -> Receipt:
    """
    What came of a restore, in one record with an id of its own. Writes nothing.

    :param kept: the old database, or the file that was set aside.
    :param seconds: how long it took.
    """
    return Receipt(
        id=str(uuid.uuid4()),
        at=moment,
        outcome=outcome,
        reason=reason,
        size=manifest.snapshot_size if manifest else None,
        sha256=manifest.snapshot_sha256 if manifest else None,
        staged_at=manifest.staged_at if manifest else None,
        staged_by=manifest.staged_by if manifest else None,
        migrations=manifest.migrated if manifest else (),
        kept=kept.name if kept else None,
        seconds=round(seconds, 3),
    )


def append_receipt(paths: StorePaths, receipt: Receipt) -> None:
    """
    Add a receipt, durably.

    :raises OSError: if it can't be written; the receipts before it are unharmed.
    """
    is_new = not paths.receipts.exists()
    descriptor = _create(paths) if is_new else os.open(paths.receipts, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        # A crash may have cut the last line off: begin a line of our own.
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        line = json.dumps(asdict(receipt), default=datetime.isoformat)
        files.write_all(descriptor, ("\n" * torn + line + "\n").encode())
        files.sync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        files.sync_folder(paths.folder)


def read_receipts(paths: StorePaths) -> list[Receipt]:
    """Every receipt, oldest first; a line that a crash cut off is left out. Reads only."""
    try:
        lines = paths.receipts.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [receipt for receipt in map(_parse, lines) if receipt is not None]


def last_receipt(paths: StorePaths) -> Receipt | None:
    """The newest receipt, if there is any. Reads only."""
    return next(reversed(read_receipts(paths)), None)


def _create(paths: StorePaths) -> int:
    return files.create_private(paths.receipts, owner_of=paths.folder)


def _parse(line: bytes) -> Receipt | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        staged_at = fields["staged_at"]
        return Receipt(
            **fields
            | {
                "at": datetime.fromisoformat(fields["at"]),
                "staged_at": datetime.fromisoformat(staged_at) if staged_at else None,
                "migrations": tuple(fields["migrations"]),
            }
        )
    except (ValueError, TypeError, KeyError):
        return None
