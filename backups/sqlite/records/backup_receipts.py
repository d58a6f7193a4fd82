"""
What happened to the stored snapshots: one JSON line for each thing.

The file is beside the database on purpose: a restore replaces the database with the audit logs in
it. Lines don't stay for ever, as those of downloads don't.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import json_lines

MOST_BYTES = 1024**2  # 1 MiB: some 4,000 lines, and as many again in the file before

logger = logging.getLogger(__name__)


def record_backup(paths: StorePaths, receipt: Mapping[str, Any]) -> None:
    """
    Add a line; several processes may do so at once. If the system refuses, that is logged, and no
    backup fails.
    """
    line = json.dumps(receipt, ensure_ascii=True).encode()
    try:
        json_lines.append_bounded(
            paths,
            paths.backup_receipts,
            line,
            earlier=paths.earlier_backup_receipts,
            most=MOST_BYTES,
        )
    except OSError as error:
        logger.warning(
            "no receipt could be written of what happened to a stored snapshot: %s",
            files.explain(error, paths.folder),
        )


def read_backup_receipts(paths: StorePaths) -> list[dict[str, Any]]:
    """Every line that can be read, the newest first. Reads only."""
    found: list[dict[str, Any]] = []
    for path in (paths.earlier_backup_receipts, paths.backup_receipts):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        found += [each for each in map(_parse, lines) if each is not None]
    return found[::-1]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        words = json.loads(line)
    except ValueError:  # torn
        return None
    return words if isinstance(words, dict) else None
