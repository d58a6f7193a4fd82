"""
Who has taken a snapshot: one JSON line when a download begins, one when it ends.

The file is beside the database on purpose: a restore replaces the database with the audit logs in
it. A download without a second line is under way, or its process was killed.

Lines don't stay for ever: at ``MOST_BYTES`` the file is renamed to ``.1``, which replaces the
earlier file of that name.
"""

import json
import logging
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import json_lines
from backups.store import Download

MOST_BYTES = 4 * 1024**2  # 4 MiB: some 6,000 downloads, and as many again in the one before

_FIELDS = [field.name for field in fields(Download)]

logger = logging.getLogger(__name__)


def record_download(paths: StorePaths, download: Download) -> None:
    """
    Add a line; several processes may do so at once. If the system refuses, that is logged, and no
    download fails. Lines are not synced: a power cut may lose the last ones.
    """
    line = json.dumps(asdict(download), default=datetime.isoformat).encode()
    try:
        json_lines.append_bounded(
            paths, paths.downloads, line, earlier=paths.earlier_downloads, most=MOST_BYTES
        )
    except OSError as error:
        logger.warning(
            "no receipt could be written for the snapshot that %s takes: %s",
            download.by or "this process",
            files.explain(error, paths.folder),
        )


def read_downloads(paths: StorePaths) -> list[Download]:
    """Every recorded download, the newest first, each from its last line. Reads only."""
    found: dict[str, Download] = {}
    for path in (paths.earlier_downloads, paths.downloads):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        found |= {each.id: each for each in map(_parse, lines) if each is not None}
    return list(found.values())[::-1]


def _parse(line: bytes) -> Download | None:
    try:
        words: dict[str, Any] = json.loads(line)
        known = {name: words[name] for name in _FIELDS if name in words}  # later releases have more
        return Download(**known | {"at": datetime.fromisoformat(words["at"]).astimezone(UTC)})
    except (ValueError, TypeError, KeyError):  # torn, or not ours
        return None
