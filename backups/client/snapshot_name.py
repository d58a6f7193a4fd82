"""
What a downloaded snapshot is called.

A server may choose it, but only in the form that this app uses. Any other name could have a
meaning where the file is saved: ``.bash_profile``, ``Makefile``, ``authorized_keys``.
"""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from backups.disk.timestamp import parse_timestamp, timestamp
from backups.store import SUFFIXES

MOST_CHARACTERS = 128  # the suffix of a file that is being written must fit into 255 too
KINDS = "|".join(map(re.escape, SUFFIXES))
# A project's name may have an underscore.
BEGINNING = "[A-Za-z0-9][A-Za-z0-9_-]*-backup-([0-9]{8}-[0-9]{6})"
OURS = re.compile(rf"{BEGINNING}(?:{KINDS})")
STORED = re.compile(rf"{BEGINNING}(?:-[1-9][0-9]*)?(?:{KINDS})\.zst(?:\.age)?")
FILENAME = re.compile(r';[ \t]*filename[ \t]*=[ \t]*"?([^";\s]*)"?[ \t]*(?:;|\Z)', re.IGNORECASE)


def offered_name(disposition: str) -> str | None:
    """The name in a ``Content-Disposition``; None if there is none in this form."""
    found = FILENAME.search(disposition)
    return found[1] if found and _is_ours(found[1]) else None


def own_name(url: str, suffix: str = ".db") -> str:
    """``tasks-example-org-backup-20261123-024538.db``: from the server's host and the time now."""
    host = re.sub(r"[^A-Za-z0-9]+", "-", urlsplit(url).hostname or "").strip("-")
    return f"{host[:64].rstrip('-') or 'server'}-backup-{timestamp(datetime.now(UTC))}{suffix}"


def is_stored_name(name: str) -> bool:
    """Whether this has the form of a stored file's name."""
    return _has_form(STORED, name)


def _is_ours(name: str) -> bool:
    return _has_form(OURS, name)


def _has_form(pattern: re.Pattern[str], name: str) -> bool:
    form = pattern.fullmatch(name)
    if form is None or len(name) > MOST_CHARACTERS:
        return False
    try:
        parse_timestamp(form[1])
    except ValueError:  # 20261399-250000
        return False
    return True
