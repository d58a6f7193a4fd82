"""The sentence at the top of the overview, as a table: what is known, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from backups.api import health
from backups.archive.state import State
from backups.page.sentence import MOST_LETTERS, Sentence, compose
from tests.backups.page.reading import text_of

NIGHT = datetime(2026, 11, 26, 4, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

NEW = State()
GOOD = State(
    last_run=NIGHT,
    last_due=NIGHT,
    last_success=NIGHT + MINUTE,
    current_as_of=NIGHT,
    last_verified=NIGHT + 2 * MINUTE,
    verified_as_of=NIGHT,
    last_id="20261126-040000",
)
REFUSED = "The storage refused the connection."


@pytest.fixture(autouse=True)
def _nightly(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.BACKUPS_SCHEDULE = "0 4 * * *"
    settings.BACKUPS_SCHEDULE_JITTER = 0
    settings.BACKUPS_VERIFY = "always"
    settings.BACKUPS_MAX_AGE = None


def said(state: State, after: timedelta) -> Sentence:
    with time_machine.travel(NIGHT + after, tick=False):
        return compose(health.judge(state, NIGHT + after))


@pytest.mark.parametrize(
    ("state", "after", "tone", "words"),
    [
        (GOOD, 3 * HOUR, "good", "Last verified backup 3 hours ago; next at 4 a.m. UTC."),
        (NEW, HOUR, "bad", "No backup has been stored yet; next at 4 a.m. UTC."),
        (
            replace(NEW, last_run=NIGHT, failures=2, last_error=REFUSED),
            HOUR,
            "bad",
            f"No backup has been stored yet: the last 2 backups failed: {REFUSED}",
        ),
        (
            replace(GOOD, failures=1, last_error=REFUSED),
            3 * HOUR,
            "bad",
            f"Last verified backup 3 hours ago, but the last backup failed: {REFUSED}",
        ),
        (
            replace(GOOD, last_run=NIGHT + 2 * DAY, failures=2, last_error=REFUSED),
            2 * DAY + HOUR,
            "bad",
            f"No verified backup for 2 days: the last 2 backups failed: {REFUSED}",
        ),
        (
            GOOD,
            DAY + 31 * MINUTE,
            "bad",
            "Last verified backup 1 day ago, but the one that was due 31 minutes ago did not take"
            " place.",
        ),
        (
            replace(GOOD, problems=("x is gone.",)),
            HOUR,
            "bad",
            "Last verified backup 1 hour ago, but 1 stored file has been lost or changed.",
        ),
        (
            replace(GOOD, last_run=NIGHT + 2 * DAY, last_due=NIGHT + 2 * DAY),
            2 * DAY + HOUR,
            "bad",
            "No verified backup for 2 days; next at 4 a.m. UTC.",
        ),
        (
            replace(GOOD, verified_as_of=None),
            HOUR,
            "bad",
            "There is no verified backup; next at 4 a.m. UTC.",
        ),
    ],
)
def test_it_says_what_is_known(state: State, after: timedelta, tone: str, words: str) -> None:
    found = said(state, after)
    assert (found.tone, text_of(found.words)) == (tone, words)


@pytest.mark.parametrize("setting", [{"BACKUPS_VERIFY": "never"}, {"BACKUPS_RECIPIENTS": ["age1"]}])
def test_where_nothing_can_be_verified_it_speaks_of_what_is_stored(
    setting: dict[str, Any], settings: Settings
) -> None:
    settings.BACKUPS_RECIPIENTS, settings.BACKUPS_IDENTITY_FILE = [], None
    for name, value in setting.items():
        setattr(settings, name, value)
    state = replace(GOOD, last_verified=None, verified_as_of=None)
    assert text_of(said(state, HOUR).words).startswith("Last backup 1 hour ago; next at")
    old = replace(state, last_run=NIGHT + 3 * DAY, last_due=NIGHT + 3 * DAY)
    assert text_of(said(old, 3 * DAY + HOUR).words).startswith("No backup for 3 days;")


def test_without_a_schedule_it_says_so(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = ""
    assert said(NEW, HOUR).tone == "warn"
    assert said(NEW, HOUR).words.startswith("No backups are taken: no schedule is set")
    assert "BACKUPS_SCHEDULE" in said(NEW, HOUR).hint
    assert said(GOOD, HOUR).tone == "good"
    assert text_of(said(GOOD, HOUR).words) == "Last verified backup 1 hour ago. No schedule is set."
    unverified = said(replace(GOOD, verified_as_of=None), HOUR)
    assert unverified.tone == "warn"
    assert text_of(unverified.words) == "Last backup 1 hour ago. None has been verified yet."
    begun = said(replace(NEW, last_run=NIGHT), HOUR)
    assert (begun.tone, begun.words) == (
        "warn",
        "No backup is stored yet, and no schedule asks for one.",
    )


def test_what_else_is_wrong_follows() -> None:
    state = replace(GOOD, failures=3, last_error=REFUSED, problems=("a", "b"))
    assert said(state, 3 * DAY).reason == (
        "The backup that was due at 2026-11-28 04:00 UTC did not take place."
        " 2 stored files have been lost or changed."
        " The newest verified backup is older than it may be."
    )
    assert said(replace(state, problems=()), HOUR).reason == ""


def test_a_long_error_is_shortened_and_an_empty_one_is_no_hole() -> None:
    error = "word " * 200
    found = said(replace(GOOD, failures=1, last_error=error), HOUR)
    assert error.strip() not in found.words
    assert len(text_of(found.words)) < MOST_LETTERS + 100
    assert found.error == error
    assert text_of(said(replace(GOOD, failures=1), HOUR).words).endswith("failed: …")


def test_an_error_is_text_and_no_page() -> None:
    """It may quote what a storage sent, or a label that somebody chose."""
    found = said(replace(GOOD, failures=1, last_error="<script>alert(1)</script> {when}"), HOUR)
    assert "<script" not in found.words
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {when}" in found.words


def test_a_missed_run_has_a_hint() -> None:
    assert "was stopped at that time" in said(GOOD, DAY + 31 * MINUTE).hint
