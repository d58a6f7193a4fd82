from datetime import date, datetime

import pytest

from taskdog.exceptions import InvalidFilterError
from taskdog.moments import read_date, read_end, read_start


@pytest.mark.parametrize("text", ["2025-10-01", "2025-10-01T00:00:00", "2025-10-01 23:59:59.9"])
def test_a_date_may_have_a_time(text: str) -> None:
    assert read_date(text) == date(2025, 10, 1)


@pytest.mark.parametrize("read", [read_date, read_start, read_end])
@pytest.mark.parametrize("text", [None, ""])
def test_nothing_is_no_filter(read: object, text: str | None) -> None:
    assert callable(read)
    assert read(text) is None


def test_a_span_has_its_first_and_its_last_day_whole() -> None:
    assert read_start("2025-10-01") == datetime.fromisoformat("2025-10-01T00:00:00")
    assert read_end("2025-10-01") == datetime.fromisoformat("2025-10-01T23:59:59.999999")
    assert read_end("9999-12-31") == datetime.fromisoformat("9999-12-31T23:59:59.999999")


def test_a_time_is_taken_as_it_is() -> None:
    text = "2025-10-01T00:00:00"
    assert read_start(text) == read_end(text) == datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "Invalid isoformat string: 'x'"),
        ("2025-13-01", "month must be in 1..12"),
        ("2025-10-01T00:00:00Z", "times are local, without an offset or Z: '2025-10-01T00:00:00Z'"),
        (
            "2025-10-01T00:00:00+02:00",
            "times are local, without an offset or Z: '2025-10-01T00:00:00+02:00'",
        ),
    ],
)
def test_what_is_no_local_time_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(InvalidFilterError) as refused:
        read_date(text)
    assert str(refused.value) == f"Invalid date format: {reason}"
    for read in (read_start, read_end):
        with pytest.raises(InvalidFilterError) as refused:
            read(text)
        assert str(refused.value) == f"Invalid datetime format: {reason}"
