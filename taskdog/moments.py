"""Dates and times that a list is filtered by, as the clients write them: ISO 8601, local."""

from datetime import date, datetime, time

from taskdog.exceptions import InvalidFilterError


def read_date(text: str | None) -> date | None:
    """
    Read a date, or the date of a time. None for nothing.

    :raises InvalidFilterError: if it is neither, or has an offset.
    """
    moment = _read(text, kind="date")
    return moment.date() if moment else None


def read_start(text: str | None) -> datetime | None:
    """
    Read where a span of time starts: a time, or the first moment of a date. None for nothing.

    :raises InvalidFilterError: if it is neither, or has an offset.
    """
    return _read(text, kind="datetime")


def read_end(text: str | None) -> datetime | None:
    """
    Read where a span of time ends: a time, or the last moment of a date. None for nothing.

    :raises InvalidFilterError: if it is neither, or has an offset.
    """
    moment = _read(text, kind="datetime")
    return end_of_day(moment.date()) if moment and text and _is_date(text) else moment


def start_of_day(day: date) -> datetime:
    """Tell the first moment of a day."""
    return datetime.combine(day, time.min)


def end_of_day(day: date) -> datetime:
    """Tell the last moment of a day, to the microsecond that the store keeps."""
    return datetime.combine(day, time.max)


def _read(text: str | None, *, kind: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidFilterError(f"Invalid {kind} format: {error}") from error
    if moment.tzinfo is not None:
        raise InvalidFilterError(
            f"Invalid {kind} format: times are local, without an offset or Z: {text!r}"
        )
    return moment


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
