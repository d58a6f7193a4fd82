"""
The receipts: one JSON line for each thing that happened to a restore.

The file is beside the database on purpose: a receipt must survive the restore.
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
CONCLUSIONS = ("applied", "refused", "blocked")  # the outcomes of a try to apply


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
    A receipt with a new id. Writes nothing.

    :param kept: the old database, or the file that was set aside.
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

    :raises OSError: it can't be written; the receipts before it are unharmed.
    """
    is_new = not files.exists(paths.receipts)
    line = json.dumps(asdict(receipt), default=datetime.isoformat)
    with json_lines.locked(paths, paths.receipts) as descriptor:
        json_lines.append(descriptor, line.encode())
        files.sync(descriptor)
    if is_new:
        files.sync_folder(paths.folder)


def record_staged(paths: StorePaths, manifest: Manifest, seconds: float = 0.0) -> None:
    """Write the receipt of a staging. Without it the file is pending all the same."""
    at, by = manifest.staged_at, manifest.staged_by
    with contextlib.suppress(OSError):
        append_receipt(paths, make_receipt(at, "staged", "", manifest, seconds=seconds, by=by))


def read_receipts(paths: StorePaths) -> list[Receipt]:
    """
    Every receipt, oldest first, without a line that a crash cut off. Empty if the file can't be
    read. Reads only.
    """
    try:
        return load_receipts(paths)
    except OSError:
        return []


def load_receipts(paths: StorePaths) -> list[Receipt]:
    """As ``read_receipts``, but raises OSError if the file exists and can't be read."""
    try:
        lines = paths.receipts.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [receipt for receipt in map(parse_receipt, lines) if receipt is not None]


def last_conclusion(paths: StorePaths) -> Receipt | None:
    """The receipt of the last try to apply a restore, if there was one. Reads only."""
    receipts = reversed(read_receipts(paths))
    return next((receipt for receipt in receipts if receipt.outcome in CONCLUSIONS), None)


def is_recorded(
    paths: StorePaths, outcome: str, manifest: Manifest, kept: Path | None = None
) -> bool:
    """Whether this very restore has a receipt of this outcome. Reads only."""
    # Its time is not enough: a clock that is set back shows the same moment twice.
    very = (outcome, manifest.staged_at, manifest.snapshot_sha256, kept.name if kept else None)
    return any(
        (receipt.outcome, receipt.staged_at, receipt.sha256, receipt.kept) == very
        for receipt in read_receipts(paths)
    )


def parse_receipt(line: bytes) -> Receipt | None:
    """Read one line; None if it is torn or not a receipt."""
    try:
        words: dict[str, Any] = json.loads(line)
        staged_at = words["staged_at"]
        known = {name: words[name] for name in _FIELDS if name in words}  # later releases have more
        return Receipt(
            **known
            | {
                "at": datetime.fromisoformat(words["at"]),
                "staged_at": datetime.fromisoformat(staged_at) if staged_at else None,
                "migrations": tuple(words["migrations"]),
                "removed": tuple(words.get("removed", ())),
            }
        )
    except (ValueError, TypeError, KeyError):
        return None
