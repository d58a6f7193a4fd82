"""
Dates and times: SQLite has them as text, in UTC or, without USE_TZ, in the site's own zone.

A moment is sent and read back as the local time of the connection's zone, the one that the site
reads and writes with. So PostgreSQL's own rules of that zone decide, as they will for the site.
"""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date, parse_datetime, parse_time

from backups.site.move.forms import Form, Unfit, kind_of

MICROSECONDS = 24 * 60 * 60 * 1_000_000  # of a day


class Date(Form):
    """``date``."""

    def write(self, value: Any) -> str:
        try:
            date = parse_date(value)
        except (TypeError, ValueError):
            date = None
        if date is None:
            raise Unfit(f"is {kind_of(value)}, not a date")
        return date.isoformat()


class Time(Form):
    """``time``."""

    def write(self, value: Any) -> str:
        try:
            time = parse_time(value)
        except (TypeError, ValueError):
            time = None
        if time is None:
            raise Unfit(f"is {kind_of(value)}, not a time of day")
        return _without_zeros(time.isoformat())


class Local(Form):
    """``timestamp``: a date with a time, of no zone."""

    def write(self, value: Any) -> str:
        moment = _moment(value)
        if moment.tzinfo is not None:
            raise Unfit(f"is {kind_of(value)}, which has a time zone")
        return _without_zeros(str(moment))


class Moment(Form):
    """``timestamp with time zone``."""

    def __init__(self, zone: str) -> None:
        """:param zone: the connection's."""
        self.selected = f"timezone('{zone}', {{}})"
        self._zone = ZoneInfo(zone)
        self._name = zone
        self._is_utc = zone == "UTC"

    def write(self, value: Any) -> str:
        moment = _moment(value)
        try:
            if moment.tzinfo is not None:
                moment = moment.astimezone(self._zone).replace(tzinfo=None)
            elif not self._is_utc:
                self._check(moment)
        except OverflowError:
            raise Unfit(f"is {kind_of(value)}, at the end of the calendar") from None
        return _without_zeros(str(moment))

    def _check(self, moment: datetime.datetime) -> None:
        """PostgreSQL would store another time in place of one that the clocks skipped."""
        there = moment.replace(tzinfo=self._zone)
        back = there.astimezone(datetime.UTC).astimezone(self._zone)
        if back.replace(tzinfo=None) != moment:
            raise Unfit(f"is {moment}, a time that the clocks skipped in {self._name}")


class Duration(Form):
    """``interval``: SQLite has the microseconds. Days stay days, as Django writes them."""

    selected = "(extract(epoch from {}) * 1000000)::bigint"
    proves = True

    def write(self, value: Any) -> str:
        if not isinstance(value, int):
            raise Unfit(f"is {kind_of(value)}, not a duration in microseconds")
        days, rest = divmod(value, MICROSECONDS)
        return f"{days} days {rest} microseconds"

    def proof(self, cell: str) -> str:
        days, _, rest, _ = cell.split(" ")
        return str(int(days) * MICROSECONDS + int(rest))


def _moment(value: Any) -> datetime.datetime:
    try:
        moment = parse_datetime(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None:
        raise Unfit(f"is {kind_of(value)}, not a date with a time")
    return moment


def _without_zeros(text: str) -> str:
    """PostgreSQL writes no zeros at the end of a second's fraction."""
    return text.rstrip("0") if "." in text else text
