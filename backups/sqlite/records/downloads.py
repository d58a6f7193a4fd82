"""
Who has taken a snapshot: one JSON line when it begins, and one when it ends, beside the database.

Outside of the database on purpose: what an audit log in it says of a download goes with the
database when a restore replaces it. A download that has no second line is under way, or its
process was killed.

Not promised: that every line is there for ever. When the file has ``MOST_BYTES`` it is renamed
to ``.1``, and what had that name before goes.
"""

import json
import logging
import os
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
    Add a line. Several processes may do so at once.

    Never raises for what the system refuses: that is logged, and no download fails for it. It is
    not synced: a power cut may take the last lines.
    """
    line = json.dumps(asdict(download), default=datetime.isoformat).encode()
    try:
        if not _append(paths, line, most=MOST_BYTES):
            _append(paths, line, most=None)  # into a new file
    except OSError as error:
        logger.warning(
            "no receipt could be written for the snapshot that %s takes: %s",
            download.by or "this process",
            files.explain(error, paths.folder),
        )


def read_downloads(paths: StorePaths) -> list[Download]:
    """Every download that is recorded, the newest first; each as its last line says. Reads only."""
    found: dict[str, Download] = {}
    for path in (paths.earlier_downloads, paths.downloads):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        found |= {each.id: each for each in map(_parse, lines) if each is not None}
    return list(found.values())[::-1]


def _append(paths: StorePaths, line: bytes, *, most: int | None) -> bool:
    """Returns False if the file was full, and has another name now."""
    with json_lines.locked(paths, paths.downloads) as descriptor:
        if most is not None and os.fstat(descriptor).st_size + len(line) >= most:
            # Of two that find it full at once, the second has the file that was renamed.
            if files.is_named(paths.downloads, descriptor):
                files.replace(paths.downloads, paths.earlier_downloads)
            return False
        json_lines.append(descriptor, line)
        return True


def _parse(line: bytes) -> Download | None:
    try:
        words: dict[str, Any] = json.loads(line)
        known = {name: words[name] for name in _FIELDS if name in words}  # a later one has more
        return Download(**known | {"at": datetime.fromisoformat(words["at"]).astimezone(UTC)})
    except (ValueError, TypeError, KeyError):  # torn, or not ours
        return None
