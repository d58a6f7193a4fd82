"""
Named API keys, in a separate file: by default ``<database>.api-keys.json``, beside it.

Not in the database, because a restored snapshot must neither revive a key nor remove one. The
file holds the SHA-256 of each key. A slow hash would protect nothing more: a key is 256 random
bits, so there is no dictionary to try.

No file means no keys, and nobody gets in by one. A file that cannot be understood is refused
whole (``KeyFileError``): it never turns authentication off. When each key was last used is noted
beside the file (``key_usage``).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backups.conf import conf
from backups.disk import files, private_files
from backups.disk.private_files import NotPrivateError
from backups.exceptions import KeyNameError
from backups.keys import key_format, key_usage
from backups.keys.entries import (
    BACKUP,
    RESTORE,
    ApiKey,
    end_of_day,
    known_scopes,
    moment,
    parse,
    render,
    unusable,
)

__all__ = [
    "BACKUP",
    "RESTORE",
    "ApiKey",
    "check_name",
    "create_key",
    "digest",
    "find_key",
    "known_scopes",
    "read_keys",
    "revoke_key",
    "rotate_key",
]

MAX_NAME_LENGTH = 100  # as wide as the audit log's column

Keys = tuple[ApiKey, ...]


def create_key(
    path: Path,
    *,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    owner_of: Path | None = None,
) -> str:
    """
    Make a key, add it to the file, and tell it: the only time that it can be seen.

    The file is replaced under a lock, so that of two keys made at once both are kept. If it
    fails, the file is unchanged.

    :param scopes: what the key may do: backup, restore, or one of BACKUPS_EXTRA_SCOPES;
        None for all of them.
    :param expires_at: when it ends; None for never.
    :param owner_of: when we are root, a new file is given to the owner of this path.
    :returns: the key, letters, digits and ``_``, safe in a header and a shell.
    :raises KeyNameError: if a key has that name, or the name is blank, long or not printable.
    :raises KeyFileError: if the file that exists is not usable.
    :raises OSError: if the folder is full or not writable.
    """
    check_name(name)
    key = key_format.make(conf.name)
    made = ApiKey(name, digest(key), scopes_in_order(scopes), _now(), _text(expires_at))

    def with_it(keys: Keys) -> Keys:
        if name in {known.name for known in keys}:
            raise KeyNameError(f"There is already an API key named {name!r} in {path}.")
        return (*keys, made)

    _change(path, with_it, owner_of=owner_of)
    return key


def revoke_key(path: Path, *, name: str) -> ApiKey:
    """
    Remove a key from the file: from the next request on it opens nothing. Its name is free then.

    :returns: what was kept of it.
    :raises KeyNameError: if no key has that name; the hint lists the names.
    :raises KeyFileError: if the file is not usable; it is unchanged.
    :raises OSError: if the folder is full or not writable; the key still holds.
    """

    def without_it(keys: Keys) -> list[ApiKey]:
        revoked = _named(keys, name, path)
        return [key for key in keys if key != revoked]

    (revoked,) = _change(path, without_it)
    return revoked


def rotate_key(path: Path, *, name: str, expires_at: datetime | None = None) -> tuple[str, ApiKey]:
    """
    Put a new key in place of one, with its name and scopes. The old one ends with this step.

    :param expires_at: when the new one ends; None for as long after now as the old one had from
        its beginning, or never.
    :returns: the new key, which can be seen only now, and what is kept of it.
    :raises KeyNameError: if no key has that name; the hint lists the names.
    :raises KeyFileError: if the file is not usable; it is unchanged.
    :raises OSError: if the folder is full or not writable; the old key still holds.
    """
    key = key_format.make(conf.name)
    made: list[ApiKey] = []

    def with_new(keys: Keys) -> list[ApiKey]:
        old = _named(keys, name, path)
        ends = _text(expires_at) or _as_long_again(old)
        made.append(replace(old, sha256=digest(key), created_at=_now(), expires_at=ends))
        return [made[0] if known == old else known for known in keys]

    _change(path, with_new)
    return key, made[0]


def check_name(name: str) -> None:
    """Refuse a name that would be unclear in a log. :raises KeyNameError: and says the rule."""
    if not name.isprintable() or name.strip() != name or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise KeyNameError(
            f"{name!r} cannot name an API key: use 1 to {MAX_NAME_LENGTH} printable characters "
            f"without space around them."
        )


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """
    Find the key that a caller presents, also one that has expired.

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


def read_keys(path: Path) -> Keys:
    """Read the file; no file is no keys. :raises KeyFileError: if it is not usable."""
    try:
        content = private_files.read(path)
    except FileNotFoundError:
        return ()
    except (NotPrivateError, OSError) as error:
        raise unusable(path, str(error).rstrip(".")) from error
    return parse(path, content)


def scopes_in_order(scopes: Sequence[str] | None) -> tuple[str, ...]:
    """These scopes, or all for None, as ``known_scopes`` orders them."""
    return tuple(scope for scope in known_scopes() if scopes is None or scope in scopes)


def _change(
    path: Path, change: Callable[[Keys], Iterable[ApiKey]], *, owner_of: Path | None = None
) -> list[ApiKey]:
    """Replace the file by what ``change`` makes of its keys. Returns those that have ended."""
    with files.exclusive_folder(path.parent):
        before = read_keys(path)
        after = tuple(change(before))
        try:
            private_files.replace(path, render(after), owner_of=owner_of)
        except NotPrivateError as error:
            raise unusable(path, str(error)) from error
    ended = [key for key in before if key not in after]
    for key in ended:
        key_usage.forget(path, key.sha256)
    return ended


def _named(keys: Keys, name: str, path: Path) -> ApiKey:
    for key in keys:
        if key.name == name:
            return key
    names = ", ".join(repr(key.name) for key in keys)
    raise KeyNameError(
        f"There is no API key named {name!r} in {path}.",
        hint=f"The keys there are: {names}." if names else "There are no keys.",
    )


def _as_long_again(key: ApiKey) -> str | None:
    if key.expires_at is None:
        return None
    lifetime = moment(key.expires_at) - moment(key.created_at)
    return _text(end_of_day(datetime.now(UTC).date() + timedelta(days=max(lifetime.days, 0))))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="seconds")
