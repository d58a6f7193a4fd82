"""``manage.py api_keys``: list the keys (not the secrets), revoke one, or replace one."""

import json
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backups.keys.api_keys import ApiKey, read_keys, revoke_key, rotate_key
from backups.keys.entries import last_day, moment
from backups.keys.key_usage import last_used
from backups.management.base import StoreCommand
from backups.management.key_options import add_expiry, chosen_key_file, expiry
from backups.management.output import printing
from backups.startup.precedence import unless_taken

HEADINGS = ("NAME", "SCOPES", "CREATED", "LAST USED (UTC)", "EXPIRES")
SOON = timedelta(days=14)  # enough time to give everybody a new key


class ApiKeys(StoreCommand):
    """A running server notices each change at its next request."""

    help = "List the API keys of this site, revoke one, or replace one with a new key."

    def add_arguments(self, parser: CommandParser) -> None:
        _add_json(parser, default=False)
        actions = parser.add_subparsers(dest="action", metavar="{list,revoke,rotate}")
        # No default here: it would overwrite a --json that stands before "list".
        _add_json(actions.add_parser("list", help="list the keys (the default)"))
        revoke = actions.add_parser("revoke", help="end a key at once")
        revoke.add_argument("name", help="of the key, as in the list")
        rotate = actions.add_parser("rotate", help="print a new key and end the old one at once")
        rotate.add_argument("name", help="of the key; the new key has the same name and scopes")
        add_expiry(rotate, default="the same lifetime as the old key had")

    def handle(self, *, action: str, as_json: bool, name: str = "", **options: Any) -> None:
        path = chosen_key_file()
        if action == "revoke":
            self._revoke(path, name)
        elif action == "rotate":
            self._rotate(path, name, expires_at=expiry(options))
        else:
            self._list(path, as_json=as_json)

    def _list(self, path: Path, *, as_json: bool) -> None:
        keys = read_keys(path)
        if as_json or keys:
            with printing("the list", self.stdout):
                self.stdout.write(_as_json(path, keys) if as_json else _as_table(path, keys))
        else:
            self.say(
                f"There are no API keys in {path}. Make one with: manage.py create_api_key NAME"
            )

    def _revoke(self, path: Path, name: str) -> None:
        revoke_key(path, name=name)
        self.tell(f"The key {name!r} is revoked: it no longer works.")

    def _rotate(self, path: Path, name: str, *, expires_at: datetime | None) -> None:
        key, kept = rotate_key(path, name=name, expires_at=expires_at)
        lost = "The old key has ended, and nobody can see the new one: rotate it once more."
        with printing("the key", self.stdout, then=lost):
            self.stdout.write(key)
        end = kept.expires_at
        ends = "" if end is None else f" The new one works until {last_day(end)}."
        self.say(
            f"This is the new key {name!r}. It can't be shown again. The old one no longer"
            f" works.{ends}"
        )


def _add_json(parser: ArgumentParser, *, default: Any = SUPPRESS) -> None:
    parser.add_argument(
        "--json", dest="as_json", action="store_true", default=default, help="for programs"
    )


def _row(path: Path, key: ApiKey) -> tuple[str, ...]:
    used = last_used(path, key.sha256)
    return (
        key.name if key.name.isprintable() else repr(key.name),  # from a file edited by hand
        ", ".join(key.scopes) or "none",
        f"{moment(key.created_at):%Y-%m-%d}",
        "never" if used is None else f"{used:%Y-%m-%d %H:%M}",
        _expiry(key),
    )


def _expiry(key: ApiKey) -> str:
    if key.expires_at is None:
        return "never"
    if key.is_expired():
        return f"EXPIRED {last_day(key.expires_at)}"
    left = moment(key.expires_at) - datetime.now(UTC)
    return last_day(key.expires_at) + (f" (in {left.days} days)" if left < SOON else "")


def _as_json(path: Path, keys: Iterable[ApiKey]) -> str:
    return json.dumps([_described(path, key) for key in keys], indent=2)


def _as_table(path: Path, keys: Iterable[ApiKey]) -> str:
    return _table([HEADINGS, *(_row(path, key) for key in keys)])


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _described(path: Path, key: ApiKey) -> dict[str, Any]:
    used = last_used(path, key.sha256)
    return {
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "last_used_at": None if used is None else used.isoformat(timespec="seconds"),
        "expires_at": key.expires_at,
        "is_expired": key.is_expired(),
    }


def __getattr__(name: str) -> Any:
    """``Command``, when Django asks for it: only then can the project's own be imported."""
    if name == "Command":
        return unless_taken("api_keys", ApiKeys)
    raise AttributeError(name)
