"""
The part of a snapshot that a request asks for: ``Range``, ``If-Range``, ``If-Match``.

The client names the snapshot by the ETag that came with the first part: in a header, or in the URL
as ``?snapshot=``, which wget and curl repeat by themselves. A ``Range`` alone names none, and the
rest of one snapshot must never be joined to the beginning of another.

Source: RFC 9110, 13.1 (preconditions) and 14 (ranges).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backups import services
from backups.exceptions import NotResumableError
from backups.store import Snapshot

RANGE = re.compile(r"bytes\s*=\s*(\d{1,18})\s*-\s*(\d{1,18})?", re.IGNORECASE)
ETAG = re.compile(r'\s*"([0-9a-f]{32})"\s*')


@dataclass(frozen=True)
class Wanted:
    """Which bytes, counted from 0, of which snapshot."""

    id: str | None  # None: of a new one
    is_strict: bool  # whether no other snapshot may be sent instead
    first: int
    last: int | None
    is_part: bool

    def __post_init__(self) -> None:
        if self.id is None and self.is_part and self.first > 0:
            raise _cannot_resume("The request does not name the snapshot whose rest it wants.")


def wanted(headers: Mapping[str, str], named: str | None) -> Wanted:
    """
    What a request asks for.

    :param named: the ``?snapshot=`` of its URL.
    :raises NotResumableError: it does not name the snapshot, or its range has an unknown form.
    """
    if (match := headers.get("If-Match", "*").strip()) != "*":
        named = _etag(match) or ""
    if named is not None:
        return Wanted(named, True, *_part(headers))
    if (condition := headers.get("If-Range")) is None:
        return Wanted(None, False, *_part(headers))
    snapshot_id = _etag(condition)
    # By the RFC, a condition that is false gets the whole: the client starts again.
    part = (0, None, False) if snapshot_id is None else _part(headers)
    return Wanted(snapshot_id, False, *part)


def kept_snapshot(wanted: Wanted, taken_by: str, address: str | None) -> Snapshot | None:
    """
    The snapshot that was taken before, if the request names one; None to take a new one.

    :raises NotResumableError: it is gone and no other may be sent, or it ends before that part.
    """
    if wanted.id is None:
        return None
    snapshot = services.resume_snapshot(
        wanted.id, taken_by=taken_by, first=wanted.first, last=wanted.last, address=address
    )
    if snapshot is None and wanted.is_strict:
        raise _cannot_resume("Its snapshot is not kept any more.")
    if snapshot is not None and snapshot.first > snapshot.size:
        snapshot.close()
        raise _cannot_resume(f"It has more than the {snapshot.size:,} bytes of its snapshot.")
    return snapshot


def _cannot_resume(reason: str) -> NotResumableError:
    return NotResumableError(f"This download can't be continued. {reason}")


def _part(headers: Mapping[str, str]) -> tuple[int, int | None, bool]:
    """First byte, last byte, and whether it is a part at all."""
    given = headers.get("Range")
    if given is None:
        return 0, None, False
    match = RANGE.fullmatch(given.strip())
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        raise _cannot_resume(f"Its range {given!r} is not of the form 'bytes=FIRST-'.")
    return int(match[1]), int(match[2]) if match[2] else None, True


def _etag(header: str) -> str | None:
    match = ETAG.fullmatch(header)
    return match[1] if match else None
