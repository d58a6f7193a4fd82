"""
The format of the API key file:

    {"keys": [{"name": "laptop", "sha256": "<64 hex digits>",
               "scopes": ["backup", "restore"], "created_at": "2026-11-23T10:00:00+00:00",
               "expires_at": "2027-02-01T00:00:00+00:00"}]}

``expires_at`` may be missing. A file that can't be understood is refused as a whole.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from backups.conf import conf
from backups.exceptions import KeyFileError

BACKUP, RESTORE = "backup", "restore"  # the scopes that this app itself requires
METRICS = "metrics"  # what a key may read that may do nothing else
FIELDS = {"name", "sha256", "scopes", "created_at"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The entry of a key. Only its holder knows the key itself."""

    name: str
    sha256: str = field(repr=False)
    scopes: tuple[str, ...]
    created_at: str  # ISO 8601, UTC
    expires_at: str | None = None  # the same; None for never

    def is_expired(self, now: datetime | None = None) -> bool:
        """Whether the key has expired, by now or at the given time."""
        return self.expires_at is not None and moment(self.expires_at) <= (now or datetime.now(UTC))


def known_scopes() -> tuple[str, ...]:
    """Everything that a key can be allowed to do on this site."""
    return (*conf.extra_scopes, BACKUP, RESTORE, METRICS)


def moment(text: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is UTC."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def end_of_day(day: date) -> datetime:
    """When a key expires if this is its last day, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def last_day(expires_at: str) -> str:
    """The last day on which a key works, in UTC."""
    return f"{moment(expires_at).astimezone(UTC) - timedelta(seconds=1):%Y-%m-%d}"


def render(keys: Iterable[ApiKey]) -> bytes:
    """Write the keys as the file's content."""
    document = {"keys": [_entry(key) for key in keys]}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def parse(path: Path, content: bytes) -> tuple[ApiKey, ...]:
    """Read the file's content. :raises KeyFileError: if any of it can't be understood."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise unusable(path, f"it is not JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise unusable(path, 'it must hold {"keys": [...]}')
    keys: list[ApiKey] = []
    for number, entry in enumerate(document["keys"], start=1):
        if problem := _problem(entry, known={key.name for key in keys}):
            raise unusable(path, f"entry {number} {problem}")
        scopes, expires_at = tuple(entry["scopes"]), entry.get("expires_at")
        keys.append(ApiKey(entry["name"], entry["sha256"], scopes, entry["created_at"], expires_at))
    return tuple(keys)


def unusable(path: Path, reason: str) -> KeyFileError:
    """The error that refuses the file; ``reason`` is the end of its sentence."""
    return KeyFileError(f"The API key file {path} is not usable: {reason}.")


def _entry(key: ApiKey) -> dict[str, Any]:
    entry = {
        "name": key.name,
        "sha256": key.sha256,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
    }
    return entry | ({} if key.expires_at is None else {"expires_at": key.expires_at})


def _problem(entry: Any, *, known: set[str]) -> str | None:
    """What is wrong with an entry, as the end of a sentence; None if nothing is."""
    if not isinstance(entry, dict):
        return "is not an object"
    if missing := FIELDS - entry.keys():
        return f"lacks {', '.join(sorted(missing))}"
    if not isinstance(entry["name"], str) or not entry["name"].strip():
        return "has a name that is not text"
    if entry["name"] in known:
        return f"repeats the name {entry['name']!r}"
    if not isinstance(entry["sha256"], str) or not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
        return "has a sha256 that is not 64 hex digits"
    if not isinstance(entry["scopes"], list):
        return "has scopes that are not a list"
    if unknown := [scope for scope in entry["scopes"] if scope not in known_scopes()]:
        return f"has the unknown scope {unknown[0]!r} (known: {', '.join(known_scopes())})"
    if not _is_moment(entry["created_at"]):
        return "has a created_at that is not an ISO 8601 time"
    if entry.get("expires_at") is not None and not _is_moment(entry["expires_at"]):
        return "has an expires_at that is not an ISO 8601 time"
    return None


def _is_moment(given: Any) -> bool:
    try:
        datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return False
    return True
