"""
Named API keys, in a separate file: by default ``<database>.api-keys.json``, beside it.

Not in the database, because a restored snapshot must neither revive a key nor remove one. The
file holds the SHA-256 of each key. A slow hash would protect nothing more: a key is 256 random
bits, so there is no dictionary to try.

    {"keys": [{"name": "laptop", "sha256": "<64 hex digits>",
               "scopes": ["backup", "restore"], "created_at": "2026-11-23T10:00:00+00:00"}]}

No file means no keys, and nobody gets in by one. A file that cannot be understood is refused
whole (``KeyFileError``): it never turns authentication off.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backups import files, private_files
from backups.conf import conf
from backups.exceptions import KeyFileError, KeyNameError
from backups.private_files import FileTooOpenError

__all__ = ["ApiKey", "check_name", "create_key", "digest", "find_key", "known_scopes", "read_keys"]

BACKUP, RESTORE = "backup", "restore"  # the scopes that this app asks for itself
KEY_BYTES = 32  # 256 random bits, 43 characters
MAX_NAME_LENGTH = 100  # as wide as the audit log's column
FIELDS = {"name", "sha256", "scopes", "created_at"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. The key itself is known to its holder only."""

    name: str
    sha256: str = field(repr=False)
    scopes: tuple[str, ...]
    created_at: str  # ISO 8601, UTC


def create_key(
    path: Path, *, name: str, scopes: Sequence[str] | None = None, owner_of: Path | None = None
) -> str:
    """
    Make a key, add it to the file, and tell it: the only time that it can be seen.

    The file is replaced under a lock, so that of two keys made at once both are kept. If it
    fails, the file is unchanged.

    :param scopes: what the key may do: backup, restore, or one of BACKUPS_EXTRA_SCOPES;
        None for all of them.
    :param owner_of: when we are root, a new file is given to the owner of this path.
    :returns: the key, 43 characters that are safe in a header and a shell.
    :raises KeyNameError: if a key has that name, or the name is blank, long or not printable.
    :raises KeyFileError: if the file that exists is not usable.
    :raises OSError: if the folder is full or not writable.
    """
    check_name(name)
    key = secrets.token_urlsafe(KEY_BYTES)
    with files.exclusive_folder(path.parent):
        keys = read_keys(path)
        if name in {known.name for known in keys}:
            raise KeyNameError(f"There is already an API key named {name!r} in {path}.")
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        made = ApiKey(name, digest(key), scopes_in_order(scopes), created_at)
        private_files.replace(path, _render([*keys, made]), owner_of=owner_of)
    return key


def known_scopes() -> tuple[str, ...]:
    """Everything that a key can be allowed to do on this site."""
    return (*conf.extra_scopes, BACKUP, RESTORE)


def check_name(name: str) -> None:
    """Refuse a name that would be unclear in a log. :raises KeyNameError: and says the rule."""
    if not name.isprintable() or name.strip() != name or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise KeyNameError(
            f"{name!r} cannot name an API key: use 1 to {MAX_NAME_LENGTH} printable characters "
            f"without space around them."
        )


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """
    Find the key that a caller presents.

    Every entry is compared, each in constant time, so that the time taken tells nothing.
    """
    presented_digest = digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, presented_digest):
            found = key
    return found


def digest(key: str) -> str:
    """Hash a key to 64 hex digits. Any string has a hash, whatever a caller may send."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Read the file; no file is no keys. :raises KeyFileError: if it is not usable."""
    try:
        content = private_files.read(path)
    except FileNotFoundError:
        return ()
    except (FileTooOpenError, OSError) as error:
        raise _unusable(path, str(error).rstrip(".")) from error
    return _parse(path, content)


def scopes_in_order(scopes: Sequence[str] | None) -> tuple[str, ...]:
    """These scopes, or all for None, as ``known_scopes`` orders them."""
    return tuple(scope for scope in known_scopes() if scopes is None or scope in scopes)


def _render(keys: Iterable[ApiKey]) -> bytes:
    entries = [
        {
            "name": key.name,
            "sha256": key.sha256,
            "scopes": list(key.scopes),
            "created_at": key.created_at,
        }
        for key in keys
    ]
    return (json.dumps({"keys": entries}, indent=2, ensure_ascii=False) + "\n").encode()


def _parse(path: Path, content: bytes) -> tuple[ApiKey, ...]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"it is not JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise _unusable(path, 'it must hold {"keys": [...]}')
    keys: list[ApiKey] = []
    for number, entry in enumerate(document["keys"], start=1):
        problem = _problem(entry, known={key.name for key in keys})
        if problem:
            raise _unusable(path, f"entry {number} {problem}")
        keys.append(
            ApiKey(entry["name"], entry["sha256"], tuple(entry["scopes"]), entry["created_at"])
        )
    return tuple(keys)


def _problem(entry: Any, *, known: set[str]) -> str | None:
    """Tell what is wrong with an entry, as the end of a sentence; None if nothing is."""
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
    return None


def _unusable(path: Path, reason: str) -> KeyFileError:
    return KeyFileError(f"The API key file {path} is not usable: {reason}.")


def _is_moment(given: Any) -> bool:
    try:
        datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return False
    return True
