"""
The snapshots that this site has sent, one JSON line each: time, SHA-256, size.

An upload that equals one of them byte for byte is this site's own database as it was, so its index
entries need no check. A snapshot that could not be recorded, or read from here, only gets the full
check.
"""

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import json_lines

MOST = 1_000  # lines; the newest stay

logger = logging.getLogger(__name__)


def record_sent(paths: StorePaths, *, sha256: str, size: int) -> None:
    """
    Remember a snapshot that was sent whole; several processes may do so at once. If the system
    refuses, that is logged. The line is not synced: losing it only costs a later upload some
    seconds.

    :param sha256: of the bytes that were sent, uncompressed, as 64 hex digits.
    """
    line = json.dumps({"at": datetime.now(UTC).isoformat(), "sha256": sha256, "size": size})
    try:
        with json_lines.locked(paths, paths.sent) as descriptor:
            _add(descriptor, line.encode())
    except OSError as error:
        logger.warning(
            "a snapshot that was sent is not remembered: %s", files.explain(error, paths.folder)
        )


def was_sent(paths: StorePaths, *, sha256: str, size: int) -> bool:
    """Whether this is one of the last 1,000 sent snapshots; False if not known. Reads only."""
    return any(_find(paths, sha256, size))


def sent_at(paths: StorePaths, *, sha256: str, size: int) -> datetime | None:
    """When one of the last 1,000 was last sent: UTC; None if that is not known. Reads only."""
    moments = []
    for line in _find(paths, sha256, size):
        with suppress(ValueError, TypeError, KeyError, OverflowError):  # changed by hand
            moments.append(datetime.fromisoformat(json.loads(line)["at"]).astimezone(UTC))
    return moments[-1] if moments else None


def _find(paths: StorePaths, sha256: str, size: int) -> list[bytes]:
    """The lines about this snapshot, the oldest first."""
    try:
        lines = paths.sent.read_bytes().splitlines()
    except OSError:
        return []
    return [line for line in lines if _snapshot(line) == (sha256, size)]


def _add(descriptor: int, line: bytes) -> None:
    """
    Append; once there are too many, write the newest over all.

    A crash in the middle leaves a line made of two: it is not JSON, or no file has its SHA-256.
    """
    lines = os.pread(descriptor, os.fstat(descriptor).st_size, 0).splitlines()
    if len(lines) < MOST:
        json_lines.append(descriptor, line)
    else:
        files.write_all(descriptor, b"\n".join((*lines[1 - MOST :], line, b"")))
        os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))


def _snapshot(line: bytes) -> tuple[object, object] | None:
    """The SHA-256 and the size in one line; None if they are not there."""
    try:
        fields = json.loads(line)
        return fields["sha256"], fields["size"]
    except (ValueError, TypeError, KeyError):
        return None
