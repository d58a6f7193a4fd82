"""
How the values of a column are written: from what SQLite stores to the words of COPY.

What is sent is, where possible, letter by letter what PostgreSQL itself writes for that value. So
a row that is read back can be compared with what was sent, without a look at its cells.

Source: https://www.postgresql.org/docs/current/sql-copy.html (Text Format)
"""

import re
from collections.abc import Sequence
from typing import Any

NULL = "\\N"
LONGEST_BYTES = 1024**3 - 2**16  # of a row: PostgreSQL takes a gigabyte at once
MOST_LETTERS = 60  # of a value, in a sentence

_SPECIAL = re.compile(r"[\\\b\t\n\v\f\r]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LETTERS = {"\\": "\\", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


class Unfit(ValueError):  # noqa: N818  # not an error of a caller: a finding
    """PostgreSQL can't hold a value. The words say why, after the name of the column."""


class Form:
    """
    Of one column. ``write`` takes a single value that is not NULL; ``write_all`` many at once,
    which is much faster.

    If what PostgreSQL writes differs from what is sent, ``proves`` is true: then ``proof`` makes
    the same of a value that was sent as ``read`` of the value that comes back.
    """

    selected = "{}"  # the SQL that reads the column ``{}`` back
    proves = False

    def write(self, value: Any) -> str:
        """:raises Unfit: PostgreSQL can't hold it."""
        raise NotImplementedError

    def write_all(self, values: Sequence[Any]) -> list[str]:
        """:raises Unfit: it can't hold one of them; ask ``write`` for each."""
        write = self.write
        return [NULL if value is None else write(value) for value in values]

    def proof(self, cell: str) -> str:
        """What stands for a value that was sent as ``cell``."""
        return cell

    def read(self, cell: str) -> str:
        """What stands for a value that came back."""
        return cell

    def prove_all(self, written: Sequence[str]) -> list[str]:
        """As ``proof``, of many; NULL stays NULL."""
        return [NULL if each == NULL else self.proof(each) for each in written]


class Text(Form):
    """Text, in any of PostgreSQL's types for it."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest  # letters; SQLite enforces no length

    def write(self, value: Any) -> str:
        text = text_of(value)
        if self._longest is not None and len(text) > self._longest:
            raise Unfit(f"has {len(text):,} letters, and at most {self._longest:,} fit")
        return escape(text)

    def write_all(self, values: Sequence[Any]) -> list[str]:
        there: Any = values if None not in values else [each for each in values if each is not None]
        try:
            joined = "".join(there)
        except TypeError:
            return super().write_all(values)
        is_special = "\0" in joined or _SPECIAL.search(joined) or not is_utf8(joined)
        is_long = self._longest is not None and max(map(len, there), default=0) > self._longest
        if is_special or is_long:
            return super().write_all(values)
        if there is values:
            return list(values)
        return [NULL if value is None else value for value in values]


class Padded(Text):
    """``char(n)``: PostgreSQL fills it with spaces, which do not count."""

    proves = True

    def proof(self, cell: str) -> str:
        return cell.rstrip(" ")

    read = proof


class Binary(Form):
    """``bytea``."""

    def write(self, value: Any) -> str:
        if not isinstance(value, bytes):
            raise Unfit(f"is {kind_of(value)}, not binary")
        if 2 * len(value) > LONGEST_BYTES:
            raise Unfit(f"has {len(value):,} bytes, and at most {LONGEST_BYTES // 2:,} can be sent")
        return "\\\\x" + value.hex()


class AnyText(Text):
    """Text in a column that no field describes: SQLite may have numbers among it."""

    def write(self, value: Any) -> str:
        return super().write(str(value) if isinstance(value, int | float) else value)


class AnyBinary(Binary):
    """As ``AnyText``: what is not binary is sent as the bytes of its text."""

    def write(self, value: Any) -> str:
        return super().write(value if isinstance(value, bytes) else text_of(str(value)).encode())


def text_of(value: Any) -> str:
    """A text as PostgreSQL can hold it. :raises Unfit: it is none."""
    if not isinstance(value, str):
        raise Unfit(f"is {kind_of(value)}, not text")
    if "\0" in value:
        raise Unfit("has a NUL character")
    if not is_utf8(value):
        raise Unfit("is not UTF-8")
    return value


def escape(text: str) -> str:
    """As COPY writes it."""
    if _SPECIAL.search(text):
        for letter, special in _LETTERS.items():  # the backslash first; a translation is slower
            text = text.replace(special, f"\\{letter}")
    return text


def unescape(cell: str) -> str:
    """The text in a cell that COPY wrote."""
    if "\\" not in cell:
        return cell
    return _ESCAPED.sub(lambda match: _LETTERS.get(match[1], match[1]), cell)


def is_utf8(text: str) -> bool:
    """False if bytes in it were no UTF-8: see ``source.py``."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(value: Any) -> str:
    """What a value is, in words: ``the text 'abc'``."""
    if isinstance(value, bytes):
        return f"binary ({len(value):,} bytes)"
    name = {str: "the text", int: "the number", float: "the number"}.get(type(value), "")
    return f"{name} {shown(value)}"


def shown(value: Any) -> str:
    """A value in a sentence: on one line, cut where it is too long."""
    words = ascii(value) if isinstance(value, str) and not is_utf8(value) else repr(value)
    return words if len(words) <= MOST_LETTERS else words[:MOST_LETTERS] + "…"
