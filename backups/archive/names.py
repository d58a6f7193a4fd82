"""The names of stored files: ``taskdog-backup-20261126-030000.db.zst.age``, and the id in it."""

import re
from datetime import MAXYEAR, MINYEAR, datetime

from backups.disk.timestamp import parse_timestamp, timestamp
from backups.store import SUFFIXES

KINDS = "|".join(map(re.escape, SUFFIXES))
ID = r"\d{8}-\d{6}(?:-[1-9]\d*)?"


def make_id(taken_at: datetime, attempt: int) -> str:
    """``20261126-030000``, in UTC; ``20261126-030000-2`` for the second one of that second."""
    return timestamp(taken_at) + (f"-{attempt}" if attempt > 1 else "")


def make_name(prefix: str, snapshot_id: str, suffix: str, *, is_encrypted: bool) -> str:
    """What a stored snapshot is called. ``prefix`` ends with ``-backup-``; ``suffix``: ``.db``."""
    return f"{prefix}{snapshot_id}{suffix}.zst{'.age' * is_encrypted}"


def id_of(prefix: str, name: str) -> str | None:
    """The id in the name of a stored file, of whichever store; None for any other file."""
    pattern = rf"{re.escape(prefix)}({ID})(?:{KINDS})\.zst(?:\.age)?"
    match = re.fullmatch(pattern, name, re.ASCII)
    if match is None:
        return None
    try:
        time_of(match[1])
    except ValueError:
        return None
    return match[1]


def is_id(word: str) -> bool:
    """Whether this has the form of an id."""
    return re.fullmatch(ID, word, re.ASCII) is not None


def time_of(snapshot_id: str) -> datetime:
    """When it was taken: UTC, to the second. :raises ValueError: there is no such time."""
    moment = parse_timestamp(snapshot_id[:15])
    if moment.year in (MINYEAR, MAXYEAR):  # in another time zone that may be a year that is none
        raise ValueError(snapshot_id)
    return moment


def order_of(snapshot_id: str) -> tuple[str, int]:
    """The key to sort ids by, the oldest first."""
    return snapshot_id[:15], int(snapshot_id[16:] or 1)
