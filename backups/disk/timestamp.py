"""How a time is written in a file name."""

from datetime import UTC, datetime

FORMAT = "%Y%m%d-%H%M%S"


def timestamp(moment: datetime) -> str:
    """``20261123-024538``: UTC, sorts by time, and is safe in a file name."""
    return moment.astimezone(UTC).strftime(FORMAT)


def parse_timestamp(text: str) -> datetime:
    """
    Read such a time, as UTC.

    :raises ValueError: the text has another form.
    """
    return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
