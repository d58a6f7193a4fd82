"""
What a request wants of a file that does not change: all of it, a part, or only what is new.

A stored file has the same bytes for ever, and its SHA-256 is its strong ETag. So any ``Range`` can
be answered, also one that names no ETag, as ``curl -C -`` and ``wget -c`` send it.

Source: RFC 9110, 13.1 and 13.2.2 (preconditions, and their order), 14.2 (ranges).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backups.exceptions import NotResumableError

ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')
RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Part:
    """Which bytes to send, both ends included, and the status that says so."""

    status: int  # 200, 206, 304: the client has it, or 416: there are no such bytes
    first: int = 0
    last: int = -1

    @property
    def length(self) -> int:
        """How many bytes are sent."""
        return self.last + 1 - self.first


def part_of(headers: Mapping[str, str], *, size: int, etag: str | None) -> Part:
    """
    The part of a file that a request asks for.

    :param etag: without its quotes; None if nobody knows what the file should contain: then the
        whole of it is sent.
    :raises NotResumableError: the request is about another file (``If-Match``).
    """
    whole = Part(200, 0, size - 1)
    if (match := headers.get("If-Match")) is not None and not _names(match, etag, weakly=False):
        raise NotResumableError(
            "This download can't be continued: its file is not the one that is stored."
        )
    if etag is None:
        return whole
    if (none := headers.get("If-None-Match")) is not None and _names(none, etag, weakly=True):
        return Part(304)
    condition = headers.get("If-Range")
    if condition is not None and not _names(condition, etag, weakly=False):
        return whole  # it has changed: the client starts again
    return _range(headers.get("Range", ""), size) or whole


def _names(header: str, etag: str | None, *, weakly: bool) -> bool:
    """Whether one of the entity tags in a header is this; a date is none."""
    if header.strip() == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in ENTITY_TAG.findall(header))


def _range(header: str, size: int) -> Part | None:
    """None for what may be ignored: no range, several, in another unit, or in another form."""
    match = RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last so many bytes
        count = min(int(match[2]), size)
        return Part(206, size - count, size - 1) if count else Part(416)
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return None
    if first >= size:
        return Part(416)
    return Part(206, first, min(int(match[2]), size - 1) if match[2] else size - 1)
