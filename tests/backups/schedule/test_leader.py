from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.mail import EmailMessage
from pytest_django import Settings

from backups.schedule import leader
from tests.site import Site


class EnoughError(Exception):
    """The test has seen enough."""


def test_what_can_not_even_begin_is_tried_later_and_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    begins = [False, False, True, False, False, False, False, False]
    waits: list[float] = []

    def start_run() -> bool:
        if not begins:
            raise EnoughError
        return begins.pop(0)

    monkeypatch.setattr(leader, "_is_under_way", lambda: False)
    monkeypatch.setattr(leader, "_seconds_left", lambda: 0.0)
    monkeypatch.setattr(leader, "_start_run", start_run)
    monkeypatch.setattr(leader, "_wait", waits.append)
    with pytest.raises(EnoughError):
        leader._lead()
    assert waits == [600, 1200, 600, 1200, 2400, 3600, 3600]


def test_a_schedule_that_is_none_is_told_and_told_again(
    live: Site, settings: Settings, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[EmailMessage]
) -> None:
    settings.BACKUPS_SCHEDULE = "61 * * * *"
    settings.BACKUPS_NOTIFY_MAIL = ["ops@example.org"]
    begun = datetime(2026, 7, 1, 3, tzinfo=UTC)
    with time_machine.travel(begun, tick=False) as clock:

        def wait(seconds: float) -> None:
            clock.shift(seconds)
            if datetime.now(UTC) > begun + timedelta(hours=30):
                raise EnoughError

        monkeypatch.setattr(leader, "_wait", wait)
        with pytest.raises(EnoughError):
            leader._lead()
    assert len(mailoutbox) == 2, "one at once, and one on the next day"
    assert "BACKUPS_SCHEDULE" in mailoutbox[0].body


def test_who_has_lost_the_lock_leads_no_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    held = [True, True, False]
    waits: list[float] = []
    monkeypatch.setattr(leader, "_is_under_way", lambda: False)
    monkeypatch.setattr(leader, "_seconds_left", lambda: 30.0)
    monkeypatch.setattr(leader, "_wait", waits.append)
    leader._lead(lambda: held.pop(0))
    assert waits == [30, 30]
