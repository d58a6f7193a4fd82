"""Whether the backups are doing well: the rules as a table, then the view."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from backups.api import health
from backups.archive.state import State, change_state
from tests.site import Site

# A Thursday, in summer time: TIME_ZONE is UTC here, so that the table can be read.
NIGHT = datetime(2026, 11, 26, 3, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

NEW = State()
GOOD = State(
    last_run=NIGHT,
    last_due=NIGHT,
    last_success=NIGHT + MINUTE,
    current_as_of=NIGHT,
    last_verified=NIGHT + 2 * MINUTE,
    verified_as_of=NIGHT,
    last_id="20261126-030000",
)


@pytest.fixture(autouse=True)
def _nightly(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    settings.BACKUPS_SCHEDULE_JITTER = 0
    settings.BACKUPS_VERIFY = "always"
    settings.BACKUPS_MAX_AGE = None


@pytest.mark.parametrize(
    ("state", "after", "status"),
    [
        (NEW, HOUR, "nothing_stored"),
        (GOOD, HOUR, "ok"),
        (GOOD, 24 * HOUR + 29 * MINUTE, "ok"),  # the next run may still begin
        (GOOD, 24 * HOUR + 31 * MINUTE, "missed"),  # nothing has begun: the schedule is dead
        (replace(GOOD, last_run=NIGHT + DAY), 25 * HOUR, "ok"),  # begun, and still under way
        (replace(GOOD, last_run=NIGHT + 2 * DAY), 49 * HOUR, "too_old"),  # they begin, no more
        (replace(GOOD, failures=1), HOUR, "failed"),
        (replace(NEW, last_run=NIGHT, failures=2), HOUR, "failed"),
        (replace(GOOD, last_missed=NIGHT - DAY), HOUR, "ok"),  # caught up with
        (replace(GOOD, last_missed=NIGHT + DAY, last_due=NIGHT + DAY), 25 * HOUR, "missed"),
        (replace(GOOD, problems=("x.db.zst is missing.",)), HOUR, "lost"),
        (replace(GOOD, verified_as_of=NIGHT - DAY), HOUR, "ok"),  # the verification is under way
        (replace(GOOD, verified_as_of=NIGHT - 2 * DAY), HOUR, "too_old"),
        (replace(GOOD, verified_as_of=None), HOUR, "too_old"),
        (replace(GOOD, verified_as_of=NIGHT + DAY), HOUR, "ok"),  # the clock was set back
    ],
)
def test_a_nightly_backup_is_judged_by_what_happened_and_by_the_clock(
    state: State, after: timedelta, status: str
) -> None:
    found = health.judge(state, NIGHT + after)
    assert found.status == status
    assert found.is_good is (status == "ok")
    assert found.reason.endswith(".")


@pytest.mark.parametrize(
    ("schedule", "verify", "max_age", "age", "status"),
    [
        ("0 * * * *", "always", None, HOUR, "ok"),
        ("0 * * * *", "always", None, 2 * HOUR + MINUTE, "too_old"),
        ("0 * * * *", "daily", None, 25 * HOUR, "ok"),  # only one a day is verified
        ("0 * * * *", "daily", None, 27 * HOUR, "too_old"),
        ("0 3 * * *", "always", HOUR, 50 * MINUTE, "ok"),
        ("0 3 * * *", "always", HOUR, 70 * MINUTE, "too_old"),
        ("", "always", 30 * DAY, 29 * DAY, "ok"),  # somebody takes them by hand
        ("", "always", 30 * DAY, 31 * DAY, "too_old"),
        ("", "always", None, 99 * DAY, "ok"),
    ],
)
def test_how_old_a_verified_backup_may_be_follows_from_the_settings(
    schedule: str,
    verify: str,
    max_age: timedelta | None,
    age: timedelta,
    status: str,
    settings: Settings,
) -> None:
    settings.BACKUPS_SCHEDULE, settings.BACKUPS_VERIFY = schedule, verify
    settings.BACKUPS_MAX_AGE = max_age
    now = NIGHT + HOUR
    state = replace(GOOD, last_run=now, last_due=now, last_success=now, current_as_of=now)
    assert health.judge(replace(state, verified_as_of=now - age), now).status == status


@pytest.mark.parametrize("verify", ["always", "daily"])
@pytest.mark.parametrize("schedule", ["0 3 * * *", "0 * * * *", "0 9-17 * * 1-5", "0 3 * * 0"])
def test_limit_of_a_backup_is_when_it_becomes_too_old(
    schedule: str, verify: str, settings: Settings
) -> None:
    settings.BACKUPS_SCHEDULE, settings.BACKUPS_VERIFY = schedule, verify
    for hours in range(24 * 7):
        as_of = NIGHT + timedelta(hours=hours, seconds=2)
        limit = health.limit_of(as_of)
        assert limit is not None
        for age, is_too_old in ((limit - MINUTE, False), (limit + MINUTE, True)):
            now = as_of + age
            state = replace(GOOD, last_run=now, last_due=now, last_success=now, current_as_of=now)
            found = health.judge(replace(state, verified_as_of=as_of), now)
            assert (found.status == "too_old") is is_too_old, (as_of, age)


def test_over_a_weekend_no_backup_is_missed_that_is_not_due(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = "0 9-17 * * 1-5"
    friday = datetime(2026, 11, 27, 17, tzinfo=UTC)
    state = replace(GOOD, last_run=friday, last_due=friday, last_success=friday)
    state = replace(state, current_as_of=friday, verified_as_of=friday)
    monday = friday + 2 * DAY + 16 * HOUR
    assert {health.judge(state, friday + HOUR * hours).status for hours in range(64)} == {"ok"}
    assert health.judge(state, monday + 31 * MINUTE).status == "missed"


@pytest.mark.parametrize("setting", [{"BACKUPS_VERIFY": "never"}, {"BACKUPS_RECIPIENTS": ["age1"]}])
def test_where_nothing_can_be_verified_what_is_stored_counts(
    setting: dict[str, Any], settings: Settings
) -> None:
    settings.BACKUPS_RECIPIENTS, settings.BACKUPS_IDENTITY_FILE = [], None
    for name, value in setting.items():
        setattr(settings, name, value)
    state = replace(GOOD, last_verified=None, verified_as_of=None)
    assert health.judge(state, NIGHT + HOUR).status == "ok"
    old = replace(state, current_as_of=NIGHT - 3 * DAY)
    assert health.judge(old, NIGHT + HOUR).status == "too_old"


def test_a_site_that_asks_for_no_backup_lacks_none(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = ""
    assert health.judge(NEW, NIGHT).status == "off"
    assert health.judge(NEW, NIGHT).is_good


def test_jitter_gives_a_run_more_time(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE_JITTER = 3600
    assert health.judge(GOOD, NIGHT + 25 * HOUR + 29 * MINUTE).status == "ok"
    assert health.judge(GOOD, NIGHT + 25 * HOUR + 31 * MINUTE).status == "missed"


def test_everything_that_is_wrong_is_said() -> None:
    state = replace(GOOD, failures=3, problems=("a", "b"))
    found = health.judge(state, NIGHT + 3 * DAY)
    assert found.status == "failed"
    for words in (
        "The last 3 backups failed.",
        "The backup that was due at 2026-11-28 03:00 UTC did not take place.",
        "2 stored files have been lost or changed.",
        "The newest verified backup is older than it may be.",
    ):
        assert words in found.reason
    assert found.missed == 1


# The view


def test_a_monitor_gets_200_or_503_and_no_word_that_strangers_should_not_read(
    live: Site,
    django_assert_num_queries: DjangoAssertNumQueries,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = replace(
        GOOD, last_error="s3://my-bucket: no such key", problems=("taskdog-backup-x is missing",)
    )
    change_state(lambda _: replace(state, problems=()))
    with time_machine.travel(NIGHT + HOUR, tick=False), django_assert_num_queries(0):
        good = APIClient().get("/health/backups")
        change_state(lambda _: replace(state, failures=2))
        bad = APIClient().get("/health/backups")
    assert (good.status_code, bad.status_code) == (200, 503)
    assert good["Cache-Control"] == "no-store"
    assert good.json() == {
        "status": "ok",
        "reason": "The last backup is recent enough, and none has failed since.",
        "last_success": "2026-11-26T03:01:00Z",
        "last_verified": "2026-11-26T03:02:00Z",
        "verified_age": 3600,
        "stored_age": 3600,
        "max_age": 25 * 3600,
        "failures": 0,
        "missed": 0,
        "problems": 0,
        "next_due": "2026-11-27T03:00:00Z",
    }
    assert bad.json()["status"] == "failed"
    assert (bad.json()["failures"], bad.json()["problems"]) == (2, 1)
    assert "bucket" not in bad.content.decode() + good.content.decode()
    assert "taskdog-backup" not in bad.content.decode()
    assert caplog.text == "", "Django would mail each error of a request to ADMINS"


def test_it_answers_also_where_no_backup_can_be(
    live: Site, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SCHEDULE = "every night"
    answer = APIClient().get("/health/backups")
    assert (answer.status_code, answer.json()["status"]) == (503, "bad_schedule")
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    assert APIClient().get("/health/backups").status_code == 501
    assert APIClient(enforce_csrf_checks=True).post("/health/backups").status_code == 405
