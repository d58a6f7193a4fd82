"""
The receipts: one JSON line for each thing that happened to a restore, beside the database.

Outside of the database on purpose: what a restore did must survive the restore.
"""

import contextlib
import json
import uuid
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import json_lines
from backups.sqlite.records.manifest import Manifest
from backups.store import Receipt

_FIELDS = [field.name for field in fields(Receipt)]
CONCLUSIONS = ("applied", "refused", "blocked")  # what can come of a try to apply


def make_receipt(
    moment: datetime,
    outcome: str,
    reason: str = "",
    manifest: Manifest | None = None,
    kept: Path | None = None,
    seconds: float = 0.0,
    *,
    by: str | None = None,
) -> Receipt:
    """
    What happened to a restore, in one record with its own id. Writes nothing.

    :param kept: the old database, or the file that was set aside.
    :param seconds: how long it took.
    :param by: who asked for it; None for a process that was starting.
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
        by=by,
        undoes=manifest.undoes if manifest else None,
    )


def append_receipt(paths: StorePaths, receipt: Receipt) -> None:
    """
    Add a receipt, durably. Several processes may do so at once.

    :raises OSError: if it can't be written; the receipts before it are unharmed.
    """
    is_new = not files.exists(paths.receipts)
    words = asdict(receipt)
    if not receipt.removed:
        del words["removed"]  # a release that does not know it could not read the line
    line = json.dumps(words, default=datetime.isoformat)
    with json_lines.locked(paths, paths.receipts) as descriptor:
        json_lines.append(descriptor, line.encode())
        files.sync(descriptor)
    if is_new:
        files.sync_folder(paths.folder)


def record_staged(paths: StorePaths, manifest: Manifest, seconds: float = 0.0) -> None:
    """Write the receipt of a staging. If it can't be written, the file is pending all the same."""
    receipt = make_receipt(
        manifest.staged_at, "staged", "", manifest, seconds=seconds, by=manifest.staged_by
    )
    with contextlib.suppress(OSError):
        append_receipt(paths, receipt)


def read_receipts(paths: StorePaths) -> list[Receipt]:
    """
    Every receipt, oldest first; a line that a crash cut off is left out. Reads only.

    Empty if the file can't be read: no restore depends on what is written there.
    """
    try:
        return load_receipts(paths)
    except OSError:
        return []


def load_receipts(paths: StorePaths) -> list[Receipt]:
    """
    As ``read_receipts``, for whom they matter.

    :raises OSError: the file is there and can't be read.
    """
    try:
        lines = paths.receipts.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [receipt for receipt in map(parse_receipt, lines) if receipt is not None]


def last_conclusion(paths: StorePaths) -> Receipt | None:
    """The outcome of the last try to apply a restore, if there was any. Reads only."""
    receipts = reversed(read_receipts(paths))
    return next((receipt for receipt in receipts if receipt.outcome in CONCLUSIONS), None)


def is_recorded(
    paths: StorePaths, outcome: str, manifest: Manifest, kept: Path | None = None
) -> bool:
    """
    Whether there is a receipt of this outcome for this very restore. Reads only.

    By more than its time: a clock can come by the same moment twice.
    """
    very = (outcome, manifest.staged_at, manifest.snapshot_sha256, kept.name if kept else None)
    return any(
        (receipt.outcome, receipt.staged_at, receipt.sha256, receipt.kept) == very
        for receipt in read_receipts(paths)
    )


def parse_receipt(line: bytes) -> Receipt | None:
    """Read one line; None if it is not a receipt of ours."""
    try:
        words: dict[str, Any] = json.loads(line)
        staged_at = words["staged_at"]
        known = {name: words[name] for name in _FIELDS if name in words}  # a later one has more
        return Receipt(
            **known
            | {
                "at": datetime.fromisoformat(words["at"]),
                "staged_at": datetime.fromisoformat(staged_at) if staged_at else None,
                "migrations": tuple(words["migrations"]),
                "removed": tuple(words.get("removed", ())),
            }
        )
    except (ValueError, TypeError, KeyError):  # torn, or not a receipt
        return None
