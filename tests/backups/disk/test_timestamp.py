"""Moments in the names of files."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from backups.disk.timestamp import parse_timestamp, timestamp

MOMENT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)


def test_timestamps_are_in_utc_and_sort_by_time() -> None:
    assert timestamp(MOMENT) == "20261123-024538"
    assert timestamp(MOMENT.astimezone(timezone(timedelta(hours=9)))) == "20261123-024538"


def test_a_timestamp_is_read_as_it_was_written() -> None:
    assert parse_timestamp(timestamp(MOMENT)) == MOMENT
    with pytest.raises(ValueError, match="20261399-250000"):
        parse_timestamp("20261399-250000")
