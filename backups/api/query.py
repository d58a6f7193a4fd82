"""What a URL may ask for, besides the path. Read from the URL alone, so it costs no upload."""

import re

from rest_framework.request import Request

from backups.exceptions import BadParameterError
from backups.store import ACCEPTABLE

RECEIPTS = 100  # in one answer, unless another limit is asked for
MAX_RECEIPTS = 1000


def is_now(request: Request) -> bool:
    """
    ``?apply=now``: not to wait for a restart.

    :raises BadParameterError: it is neither ``now`` nor ``restart``.
    """
    when = request.query_params.get("apply", "restart")
    if when not in ("now", "restart"):
        raise BadParameterError(f"apply must be 'now' or 'restart', not {when!r}.")
    return when == "now"


def compact(request: Request) -> bool | None:
    """
    ``?compact=``: which kind of snapshot; None to leave it to the database's size.

    :raises BadParameterError: it is neither ``1`` nor ``0``.
    """
    given = request.query_params.get("compact")
    if given not in (None, "1", "0"):
        raise BadParameterError(f"compact must be '1' or '0', not {given!r}.")
    return None if given is None else given == "1"


def accept(request: Request) -> frozenset[str]:
    """
    ``?accept=``: what is taken although it is wrong, e.g. ``defects`` or ``defects,foreign``.

    :raises BadParameterError: it has another word.
    """
    given = request.query_params.get("accept")
    words = frozenset(() if given is None else given.split(","))
    if unknown := sorted(words.difference(ACCEPTABLE)):
        raise BadParameterError(f"accept takes {' and '.join(ACCEPTABLE)}, not {unknown[0]!r}.")
    return words


def snapshot(request: Request) -> str | None:
    """``?snapshot=``: which one that was taken before, by its ETag; None for a new one."""
    return request.query_params.get("snapshot")


def limit(request: Request) -> int:
    """
    ``?limit=``: how many receipts.

    :raises BadParameterError: it is not a whole number within the bounds.
    """
    given = request.query_params.get("limit", str(RECEIPTS))
    if not re.fullmatch("[1-9][0-9]{0,3}", given) or int(given) > MAX_RECEIPTS:
        raise BadParameterError(
            f"limit must be a whole number from 1 to {MAX_RECEIPTS:,}, not {given!r}."
        )
    return int(given)
