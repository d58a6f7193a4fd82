"""How a moment is written in the name of a file."""

from datetime import UTC, datetime

FORMAT = "%Y%m%d-%H%M%S"


def timestamp(moment: datetime) -> str:
    """``20261123-024538``: UTC, sorts by time, and is safe in a file name."""
    return moment.astimezone(UTC).strftime(FORMAT)


def parse_timestamp(text: str) -> datetime:
    """
    The moment, in UTC.

    :raises ValueError: it is not written like this.
    """
    return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
