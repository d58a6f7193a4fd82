"""JSON, UUIDs and network addresses."""

import ipaddress
import json
import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from backups.site.move.forms import (
    Form,
    Unfit,
    escape,
    is_utf8,
    kind_of,
    shown,
    text_of,
    unescape,
)
from backups.site.move.number_forms import plain

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # not a backslash before "u0000"


_DIGITS = re.compile(r"([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})")


class Uuid(Form):
    """``uuid``: SQLite has its 32 digits."""

    def write(self, value: Any) -> str:
        try:
            if digits := _DIGITS.fullmatch(value):
                return "-".join(digits.groups())
            return str(uuid.UUID(value))
        except (AttributeError, TypeError, ValueError):
            raise Unfit(f"is {kind_of(value)}, not a UUID") from None


class Address(Form):
    """``inet``."""

    proves = True

    def write(self, value: Any) -> str:
        text = text_of(value)
        try:
            ipaddress.ip_interface(text)
        except ValueError:
            raise Unfit(f"is {kind_of(value)}, not a network address") from None
        return text

    def proof(self, cell: str) -> str:
        return str(ipaddress.ip_interface(cell))

    read = proof


class Json(Form):
    """``jsonb``, or ``json`` with its text as it is. The site's own text is sent."""

    proves = True

    def __init__(self) -> None:
        self._meanings: dict[str, str] = {}  # of what was written last

    def write(self, value: Any) -> str:
        text = text_of(value)
        try:
            found = meaning(text)
        except Unfit:
            raise
        except (ValueError, RecursionError) as error:
            raise Unfit(f"is {shown(text)}, not JSON that can be read: {error}") from None
        if _NUL.search(found):
            raise Unfit("has a NUL character (\\u0000) in its JSON")
        if not is_utf8(found):
            raise Unfit("has half of a surrogate pair in its JSON")
        written = escape(text)
        self._meanings[written] = found
        return written

    def write_all(self, values: Sequence[Any]) -> list[str]:
        self._meanings.clear()
        return super().write_all(values)

    def proof(self, cell: str) -> str:
        return self._meanings.get(cell) or meaning(unescape(cell))

    def read(self, cell: str) -> str:
        return meaning(unescape(cell))


def meaning(text: str) -> str:
    """
    Equal values in equal words, whatever the order of keys and the spelling of numbers.

    :raises ValueError: it is not JSON.
    """
    value = json.loads(
        text, parse_int=_number, parse_float=_number, parse_constant=_constant, strict=True
    )
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _number(text: str) -> str:
    """Marked, so that the number 1 is not the text "1"."""
    return "\x7f" + plain(Decimal(text))


def _constant(text: str) -> NoReturn:
    raise Unfit(f"has {text} in its JSON")
