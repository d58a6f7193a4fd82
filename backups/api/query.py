"""
The parameters in a URL. They are read before the body, so a wrong one costs no upload.

Each function raises ``BadParameterError`` if its parameter has an invalid value.
"""

import re

from rest_framework.request import Request

from backups.exceptions import BadParameterError
from backups.store import ACCEPTABLE

RECEIPTS = 100  # in one answer, by default
MAX_RECEIPTS = 1000


def is_now(request: Request) -> bool:
    """``?apply=now`` applies without a restart; ``restart`` is the default."""
    when = request.query_params.get("apply", "restart")
    if when not in ("now", "restart"):
        raise BadParameterError(f"apply must be 'now' or 'restart', not {when!r}.")
    return when == "now"


def compact(request: Request) -> bool | None:
    """``?compact=1`` or ``0``: which kind of snapshot; None to let the database's size decide."""
    given = request.query_params.get("compact")
    if given not in (None, "1", "0"):
        raise BadParameterError(f"compact must be '1' or '0', not {given!r}.")
    return None if given is None else given == "1"


def accept(request: Request) -> frozenset[str]:
    """``?accept=``: problems to accept in an upload, e.g. ``defects`` or ``defects,foreign``."""
    given = request.query_params.get("accept")
    words = frozenset(() if given is None else given.split(","))
    if unknown := sorted(words.difference(ACCEPTABLE)):
        raise BadParameterError(f"accept takes {' and '.join(ACCEPTABLE)}, not {unknown[0]!r}.")
    return words


def force(request: Request) -> bool:
    """``?force=1``: delete a stored snapshot even if it is the last good one."""
    given = request.query_params.get("force", "0")
    if given not in ("1", "0"):
        raise BadParameterError(f"force must be '1' or '0', not {given!r}.")
    return given == "1"


def snapshot(request: Request) -> str | None:
    """``?snapshot=``: the ETag of a snapshot that was taken before; None for a new one."""
    return request.query_params.get("snapshot")


def limit(request: Request) -> int:
    """``?limit=``: the most receipts in an answer, from 1 to 1,000."""
    given = request.query_params.get("limit", str(RECEIPTS))
    if not re.fullmatch("[1-9][0-9]{0,3}", given) or int(given) > MAX_RECEIPTS:
        raise BadParameterError(
            f"limit must be a whole number from 1 to {MAX_RECEIPTS:,}, not {given!r}."
        )
    return int(given)
