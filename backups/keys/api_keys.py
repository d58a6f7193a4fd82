"""
Named API keys, in a separate file: by default ``<database>.api-keys.json``, beside it.

They are not in the database, because a restored snapshot must neither revive a key nor remove one.
The file holds the SHA-256 of each key. A slow hash would add no protection: a key is 256 random
bits, which nobody can guess.

Without the file there are no keys, and no key is accepted. A file that can't be understood is
refused as a whole (``KeyFileError``): it never turns authentication off. ``key_usage`` notes
beside the file when each key was last used.

If ``create_key``, ``revoke_key`` or ``rotate_key`` fails, the file is unchanged. Each raises
``KeyFileError`` if the file is not usable, and ``OSError`` if its folder is full or not writable.
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
    METRICS,
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
    "METRICS",
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
    Make a key, add it to the file, and return it. Nobody can see it again later.

    The file is replaced under a lock, so two keys made at the same time are both kept.

    :param scopes: what the key may do: backup, restore, or one of BACKUPS_EXTRA_SCOPES;
        None for all of them.
    :param expires_at: when it expires; None for never.
    :param owner_of: if we are root, give a new file to the owner of this path.
    :returns: the key, letters, digits and ``_``, safe in a header and a shell.
    :raises KeyNameError: a key has that name, or the name is blank, long or not printable.
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
    Remove a key from the file: it is refused from the next request on, and its name is free again.

    :returns: its entry in the file.
    :raises KeyNameError: no key has that name; the hint lists the names.
    """

    def without_it(keys: Keys) -> list[ApiKey]:
        revoked = _named(keys, name, path)
        return [key for key in keys if key != revoked]

    (revoked,) = _change(path, without_it)
    return revoked


def rotate_key(path: Path, *, name: str, expires_at: datetime | None = None) -> tuple[str, ApiKey]:
    """
    Replace a key with a new one that has its name and scopes. The old key stops working at once.

    :param expires_at: when the new key expires; None for the old key's lifetime, counted from
        now, or never if the old key had no end.
    :returns: the new key, which nobody can see again later, and its entry in the file.
    :raises KeyNameError: no key has that name; the hint lists the names.
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
    """Refuse a name that would be unclear in a log. :raises KeyNameError: states the rule."""
    if not name.isprintable() or name.strip() != name or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise KeyNameError(
            f"{name!r} can't be the name of an API key: use 1 to {MAX_NAME_LENGTH} printable"
            f" characters, without spaces at either end."
        )


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """
    Find the key that a caller presents, even if it has expired.

    Every entry is compared, each in constant time, so that the time taken reveals nothing.
    """
    presented_digest = digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, presented_digest):
            found = key
    return found


def digest(key: str) -> str:
    """Hash a key to 64 hex digits. Accepts any string that a caller may send."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> Keys:
    """Read the file; empty if there is none. :raises KeyFileError: if it is not usable."""
    try:
        content = private_files.read(path)
    except FileNotFoundError:
        return ()
    except (NotPrivateError, OSError) as error:
        raise unusable(path, str(error).rstrip(".")) from error
    return parse(path, content)


def scopes_in_order(scopes: Sequence[str] | None) -> tuple[str, ...]:
    """
    These scopes, in the order of ``known_scopes``. If None, all but METRICS, which BACKUP includes.
    """
    wanted = scopes if scopes is not None else [each for each in known_scopes() if each != METRICS]
    return tuple(scope for scope in known_scopes() if scope in wanted)


def _change(
    path: Path, change: Callable[[Keys], Iterable[ApiKey]], *, owner_of: Path | None = None
) -> list[ApiKey]:
    """Replace the keys by what ``change`` makes of them. Returns those that are gone."""
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
