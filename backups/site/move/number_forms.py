"""Numbers and booleans: SQLite's columns hold any value, PostgreSQL's only those of their type."""

import math
import struct
from collections.abc import Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from backups.site.move.forms import Form, Unfit, kind_of, shown

# As Django reads a decimal from SQLite, which keeps it as a float: with 15 digits.
# Source: DatabaseOperations.get_decimalfield_converter
_OF_SQLITE = Context(prec=15)
_WIDE = Context(prec=200_000, Emax=999_999_999, Emin=-999_999_999)
MOST_DIGITS = 131_072  # before the point, in a ``numeric`` without a precision
MOST_DECIMALS = 16_383  # after it


class Boolean(Form):
    """0 and 1."""

    def write(self, value: Any) -> str:
        if isinstance(value, int | float) and value in (0, 1):
            return "t" if value else "f"
        raise Unfit(f"is {kind_of(value)}, neither 0 nor 1")


class Integer(Form):
    """The integers of so many bytes."""

    def __init__(self, size: int, least: int | None = None) -> None:
        """:param least: what the column's model says, e.g. 0."""
        most = 2 ** (8 * size - 1)
        self._most = most - 1
        self._least = -most if least is None else max(least, -most)

    def write(self, value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int):
            raise Unfit(f"is {kind_of(value)}, not a whole number")
        if not self._least <= value <= self._most:
            raise Unfit(f"is {value}, not between {self._least} and {self._most}")
        return str(value)

    def write_all(self, values: Sequence[Any]) -> list[str]:
        types = set(map(type, values))
        if types == {int} and self._least <= min(values) and max(values) <= self._most:
            return list(map(str, values))
        return super().write_all(values)


class Float(Form):
    """``real`` or ``double precision``. It is compared by its bits."""

    proves = True

    def __init__(self, size: int) -> None:
        self._size = size
        self._struct = struct.Struct({4: ">f", 8: ">d"}[size])
        self.selected = f"float{size}send({{}})"

    def write(self, value: Any) -> str:
        if not isinstance(value, int | float):
            raise Unfit(f"is {kind_of(value)}, not a number")
        number = float(value)
        if self._size == 4 and math.isfinite(number):
            try:
                self._struct.pack(number)
            except OverflowError:
                raise Unfit(f"is {number}, too large for a real number of 4 bytes") from None
        if isinstance(value, int) and int(number) != value:
            raise Unfit(f"is {value}, a whole number that a float can't hold")
        return repr(number)

    def proof(self, cell: str) -> str:
        return "\\\\x" + self._struct.pack(float(cell)).hex()


class Exact(Form):
    """
    ``numeric(precision, scale)``. A value with more decimals than the column has is what the site
    itself showed for it.
    """

    def __init__(self, precision: int, scale: int) -> None:
        self._quantum = Decimal(1).scaleb(-scale)
        self._context = Context(prec=precision)
        self._limits = f"{precision} digits, {scale} of them after the point"
        self._zero = f"{Decimal(0).quantize(self._quantum):f}"
        self.rounded = 0  # how many values had more decimals

    def write(self, value: Any) -> str:
        number = number_of(value)
        if number.is_nan():
            return "NaN"
        if number.is_infinite():
            raise Unfit("is infinite")
        try:
            fit = number.quantize(self._quantum, context=self._context)
        except InvalidOperation:
            raise Unfit(f"is {shown(value)}, which needs more than {self._limits}") from None
        self.rounded += fit != number
        return f"{fit:f}" if fit else self._zero


class Number(Form):
    """``numeric`` of any length."""

    proves = True

    def write(self, value: Any) -> str:
        number = Decimal(repr(value)) if isinstance(value, float) else number_of(value)
        if number.is_infinite():
            raise Unfit("is infinite")
        return plain(number)

    def proof(self, cell: str) -> str:
        return plain(Decimal(cell))

    read = proof


def number_of(value: Any) -> Decimal:
    """A number as the site reads it from SQLite. :raises Unfit: it is none."""
    if isinstance(value, float):
        return _OF_SQLITE.create_decimal_from_float(value)
    if isinstance(value, int):
        return Decimal(value)
    try:
        if isinstance(value, str) and value.isascii() and "_" not in value:
            return Decimal(value)
    except InvalidOperation:
        pass
    raise Unfit(f"is {kind_of(value)}, not a decimal number")


def plain(number: Decimal) -> str:
    """Equal numbers in equal words. :raises Unfit: PostgreSQL has no number like it."""
    if not number.is_finite():
        return str(number)
    if not number:
        return "0"
    exponent = number.as_tuple().exponent
    if number.adjusted() >= MOST_DIGITS or int(exponent) < -MOST_DECIMALS:
        raise Unfit(f"has the number {shown(str(number))}, too large or with too many digits")
    return f"{number.normalize(_WIDE):f}"
