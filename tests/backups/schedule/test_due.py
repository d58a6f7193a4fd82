from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from backups.archive.state import State
from backups.schedule.attempts import DONE, FAILED, Attempt
from backups.schedule.due import CLOCK_ERROR, GRACE, Due, delay, find_due, next_due

AT_THREE = datetime(2026, 7, 1, 3, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
DONE_AT_THREE = State(last_due=AT_THREE)
ATTEMPT = Attempt("0 3 * * * UTC", AT_THREE, 1, AT_THREE, DONE, AT_THREE + MINUTE)


@pytest.fixture(autouse=True)
def _each_night_at_three(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.BACKUPS_SCHEDULE = "0 3 * * *"


def test_the_first_backup_of_a_schedule_is_due_at_once() -> None:
    assert find_due(AT_THREE + 5 * MINUTE, State(), None) == Due(AT_THREE)
    assert find_due(AT_THREE - MINUTE, State(), None) == Due(AT_THREE - DAY)


def test_nothing_is_due_until_the_next_due_time() -> None:
    for later in (timedelta(0), MINUTE, DAY - MINUTE):
        assert find_due(AT_THREE + later, DONE_AT_THREE, ATTEMPT) is None
        assert next_due(AT_THREE + later, ATTEMPT) == AT_THREE + DAY
    assert find_due(AT_THREE + DAY, DONE_AT_THREE, ATTEMPT) == Due(AT_THREE + DAY)


def test_a_run_that_begins_a_little_late_is_not_missed() -> None:
    assert find_due(AT_THREE + DAY + GRACE, DONE_AT_THREE, ATTEMPT) == Due(AT_THREE + DAY)


def test_one_run_catches_up_with_all_that_were_missed_and_counts_each() -> None:
    now = AT_THREE + 3 * DAY + 2 * GRACE
    missed = tuple(AT_THREE + number * DAY for number in (3, 2, 1))
    assert find_due(now, DONE_AT_THREE, ATTEMPT) == Due(AT_THREE + 3 * DAY, missed=missed)
    in_time = AT_THREE + 3 * DAY + MINUTE
    assert find_due(in_time, DONE_AT_THREE, ATTEMPT) == Due(AT_THREE + 3 * DAY, missed=missed[1:])


def test_a_new_schedule_begins_at_once_and_has_missed_nothing(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = "0 * * * *"
    noon = AT_THREE.replace(hour=12, minute=5)
    assert find_due(noon, DONE_AT_THREE, ATTEMPT) == Due(noon.replace(minute=0))


def test_a_clock_that_was_a_year_ahead_does_not_stop_the_backups_for_a_year() -> None:
    wrong = replace(DONE_AT_THREE, last_due=AT_THREE + 365 * DAY)
    assert find_due(AT_THREE + MINUTE, wrong, None) == Due(AT_THREE)


def test_a_clock_that_is_set_back_a_little_repeats_nothing() -> None:
    for back in (timedelta(seconds=1), CLOCK_ERROR):
        assert find_due(AT_THREE - back, DONE_AT_THREE, ATTEMPT) is None


def test_a_failed_run_is_tried_again_later_and_later_until_the_next_is_due() -> None:
    ended = AT_THREE + MINUTE
    for number, minutes in enumerate((10, 20, 40, 80), start=1):
        failed = replace(ATTEMPT, number=number, outcome=FAILED, ended_at=ended)
        again = ended + minutes * MINUTE
        assert find_due(again - MINUTE, DONE_AT_THREE, failed) is None
        assert next_due(again - MINUTE, failed) == again
        assert find_due(again, DONE_AT_THREE, failed) == Due(AT_THREE, number + 1)
    assert find_due(AT_THREE + DAY, DONE_AT_THREE, failed) == Due(AT_THREE + DAY)


def test_what_would_fail_again_is_not_tried_again() -> None:
    failed = replace(ATTEMPT, outcome=FAILED, is_final=True)
    assert find_due(AT_THREE + DAY - MINUTE, DONE_AT_THREE, failed) is None


def test_jitter_begins_a_run_later_and_always_as_much(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE_JITTER = 3600
    due = AT_THREE + DAY
    begins = due + delay(due)
    assert timedelta(0) < delay(due) == delay(due) < timedelta(hours=1)
    assert delay(due) != delay(due + DAY)
    moment = timedelta(microseconds=1)
    assert find_due(begins - moment, DONE_AT_THREE, ATTEMPT) is None
    assert next_due(begins - moment, ATTEMPT) == begins
    assert find_due(begins, DONE_AT_THREE, ATTEMPT) == Due(due)
    assert find_due(begins + GRACE, DONE_AT_THREE, ATTEMPT) == Due(due)


def test_without_a_schedule_whoever_asks_decides(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = ""
    assert find_due(AT_THREE, DONE_AT_THREE, ATTEMPT) == Due(None)
    assert next_due(AT_THREE, ATTEMPT) is None
