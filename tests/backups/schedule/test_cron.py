from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
import time_machine
from pytest_django import Settings

from backups.exceptions import BadScheduleError
from backups.schedule import cron

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_berlin(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"


def local(text: str) -> datetime:
    """``2026-03-29 03:00`` in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def all_next(expression: str, start: datetime, end: datetime) -> list[datetime]:
    """Every due time, asked for as the schedule does: the next one after the last one."""

    def due() -> Iterator[datetime]:
        moment = start
        while True:
            yield (moment := cron.next_due(expression, moment))

    return list(takewhile(lambda moment: moment <= end, due()))


def test_due_times_are_of_the_sites_time_zone() -> None:
    now = local("2026-07-01 12:00")
    assert cron.next_due("0 3 * * *", now) == local("2026-07-02 03:00")
    assert cron.last_due("0 3 * * *", now) == local("2026-07-01 03:00")
    assert cron.last_due("0 3 * * *", now).tzinfo is UTC


def test_monday_is_monday() -> None:
    assert cron.next_due("0 3 * * 1", local("2026-07-01 12:00")) == local("2026-07-06 03:00")


def test_a_moment_that_is_due_is_the_last_due_one_and_not_the_next() -> None:
    due = local("2026-07-01 03:00")
    assert cron.last_due("0 3 * * *", due) == due
    assert cron.last_due("0 3 * * *", due + timedelta(microseconds=1)) == due
    assert cron.last_due("0 3 * * *", due - timedelta(microseconds=1)) == due - timedelta(days=1)
    assert cron.next_due("0 3 * * *", due) == due + timedelta(days=1)


@pytest.mark.parametrize("start", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "45 2 * * *", "15 * * * *", "*/20 * * * *"])
def test_both_directions_agree_at_each_minute_of_a_change(expression: str, start: datetime) -> None:
    day = timedelta(hours=12)
    due = all_next(expression, start - 3 * day, start + day)
    assert len(due) >= 2
    for minute in range(int(day.total_seconds() // 60)):
        now = start + timedelta(minutes=minute, seconds=7)
        assert cron.last_due(expression, now) == max(each for each in due if each <= now)
    for moment in due[:-1]:
        assert cron.next_due(expression, moment) == due[due.index(moment) + 1]


def test_what_is_due_in_the_hour_that_comes_twice_is_due_once() -> None:
    due = all_next("30 2 * * *", AUTUMN, AUTUMN + timedelta(hours=12))
    assert due == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_what_is_due_in_the_hour_that_does_not_come_is_due_after_it() -> None:
    due = all_next("30 2 * * *", SPRING, SPRING + timedelta(hours=12))
    assert due == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]


def test_hours_that_come_twice_are_both_due_every_hour() -> None:
    due = all_next("0 * * * *", AUTUMN, AUTUMN + timedelta(hours=4))
    assert due == [AUTUMN + timedelta(hours=number) for number in range(1, 5)]


def test_due_times_between_two_moments_come_newest_first() -> None:
    found = cron.due_between("0 3 * * *", local("2026-07-01 03:00"), local("2026-07-03 03:00"))
    assert found == [local("2026-07-03 03:00"), local("2026-07-02 03:00")]


def test_a_year_of_minutes_is_counted_in_a_moment() -> None:
    now = local("2026-07-01 12:00")
    found = cron.due_between("* * * * *", now - timedelta(days=365), now)
    assert len(found) == cron.MOST_COUNTED


@pytest.mark.parametrize(
    ("word", "fields"),
    [("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"), ("@weekly", "0 0 * * 0")],
)
def test_a_word_is_an_expression(word: str, fields: str) -> None:
    now = local("2026-07-01 12:34")
    assert cron.next_due(word, now) == cron.next_due(fields, now)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "0 fields"),
        ("daily", "1 fields"),
        ("0 0 3 * * *", "6 fields"),
        ("0 25 * * *", "Bad hour"),
        ("0 3 * * * #", "6 fields"),
        ("@reboot", "1 fields"),
    ],
)
def test_what_is_no_expression_is_refused_and_the_error_says_why(wrong: str, why: str) -> None:
    with pytest.raises(BadScheduleError, match=why) as refused:
        cron.next_due(wrong, datetime.now(UTC))
    assert "five fields" in refused.value.hint


@pytest.mark.parametrize("never", ["0 0 30 2 *", "0 0 31 4 *"])
def test_a_time_that_never_comes_is_refused(never: str) -> None:
    for ask in (cron.next_due, cron.last_due):
        with pytest.raises(BadScheduleError):
            ask(never, datetime.now(UTC))


def test_an_expression_is_explained_in_words() -> None:
    assert cron.explain("0 3 * * 1") == "At 03:00 on Monday"


def test_a_site_without_a_time_zone_has_that_of_its_machine(settings: Settings) -> None:
    settings.TIME_ZONE = None
    with time_machine.travel(datetime(2026, 7, 1, 12, tzinfo=UTC), tick=False):
        assert cron.next_due("0 * * * *", datetime.now(UTC)) == datetime(2026, 7, 1, 13, tzinfo=UTC)
