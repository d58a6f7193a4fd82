"""Placeholder for the stream that tells people; to be dropped when the two are merged."""

from datetime import datetime


def began(*, database: str | None = None) -> None:
    """A backup has begun."""


def succeeded(*, database: str | None = None) -> None:
    """It has ended well."""


def failed(error: str, *, database: str | None = None) -> None:
    """It has failed."""


def missed(due: datetime, *, database: str | None = None) -> None:
    """It did not take place when it was due."""
