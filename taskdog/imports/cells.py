"""
The values of one row of theirs, as ours.

SQLite stores whatever it is given, and their columns have few rules. A value that ours can't be
is changed to the nearest that can, and what was done is written down, so that nothing is lost in
silence.
"""

import json
import math
from datetime import date, datetime
from typing import Any

from taskdog.fields import MAX_INTEGER
from taskdog.imports.source import Row

Changes = list[str]  # a sentence for each value that is not carried over as it was
MOST_LETTERS = 80  # of a value in such a sentence


class Cells:
    """One row, and where to write down what had to be changed in it."""

    def __init__(self, row: Row, owner: str, changes: Changes) -> None:
        """:param owner: what the row is, e.g. ``task 7``, for the sentences."""
        self._row = row
        self._owner = owner
        self._changes = changes

    def say(self, what: str) -> None:
        """Write down what was done to this row."""
        self._changes.append(f"{self._owner}: {what}")

    def number(self, name: str) -> int:
        """A whole number that their schema promises; 0 for what is none."""
        value = self._row[name]
        return value if isinstance(value, int) else 0

    def text(self, name: str) -> str:
        """Text as it is; a number, which SQLite may have stored, as its digits."""
        value = self._row[name]
        return "" if value is None else str(value)

    def text_or_none(self, name: str) -> str | None:
        """The same, with NULL for None."""
        return None if self._row[name] is None else self.text(name)

    def flag(self, name: str) -> bool:
        """A yes or no."""
        return bool(self._row[name])

    def positive(self, name: str) -> int | None:
        """A whole number above zero, or none."""
        value = self._row[name]
        if value is None or (isinstance(value, int) and 0 < value <= MAX_INTEGER):
            return value
        self._drop(name, "is not a whole number above zero")
        return None

    def hours(self, name: str) -> float | None:
        """A finite number above zero, or none."""
        value = self._row[name]
        if value is None:
            return None
        if isinstance(value, int | float) and math.isfinite(value) and value > 0:
            return float(value)
        self._drop(name, "is not a number of hours above zero")
        return None

    def moment(self, name: str) -> datetime | None:
        """A local time, or none."""
        value = self._row[name]
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self._drop(name, "is not a time")
            return None
        if moment.tzinfo is None:
            return moment
        local = moment.astimezone().replace(tzinfo=None)
        self.say(f"{name} {_shown(value)} has an offset; it is {local} in local time now")
        return local

    def moment_or(self, name: str, otherwise: datetime) -> datetime:
        """A local time; where there is none, another one."""
        moment = self.moment(name)
        if moment is not None:
            return moment
        self.say(f"it had no {name}; it has {otherwise} now")
        return otherwise

    def day(self, name: str) -> date | None:
        """A date, or none."""
        try:
            return date.fromisoformat(str(self._row[name]))
        except ValueError:
            self._drop(name, "is not a date")
            return None

    def document(self, name: str) -> Any:
        """The value that a text in JSON stands for; None for NULL, and for what is not JSON."""
        try:
            return self._parse(name)
        except (ValueError, RecursionError):
            self._drop(name, "is not JSON")
            return None

    def record(self, name: str) -> Any:
        """The same, but what is not JSON is kept: an object with the text of it."""
        try:
            return self._parse(name)
        except (ValueError, RecursionError):
            shown = _shown(self._row[name])
            self.say(f"{name} {shown} is not JSON; it is kept as {{'text': …}}")
            return {"text": str(self._row[name])}

    def _parse(self, name: str) -> Any:
        value = self._row[name]
        return None if value is None else json.loads(str(value), parse_constant=_refuse_constant)

    def _drop(self, name: str, reason: str) -> None:
        self.say(f"{name} {_shown(self._row[name])} {reason}; it has none now")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= MOST_LETTERS else shown[:MOST_LETTERS] + "…"
