"""Spread the estimated hours of a task over the days that it is planned for."""

from datetime import date, timedelta

SATURDAY = 5  # of date.weekday(), where Monday is 0
MAX_DAYS = 3660  # ten years: each day is a row, and a typing error must not make a million


def spread_hours(hours: float, *, first: date, last: date) -> dict[date, float]:
    """
    Give each working day from ``first`` to ``last``, both included, the same share.

    If there is no working day among them, every day counts. Empty if ``last`` is before
    ``first``, or if a share is too small to differ from zero.

    :param hours: of the whole task.
    """
    span = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    days = [day for day in span if day.weekday() < SATURDAY] or span
    share = hours / len(days) if days else 0.0
    return dict.fromkeys(days, share) if share > 0 else {}
