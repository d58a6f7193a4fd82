"""Each way to set the notices wrong is one numbered message, which quotes no secret."""

import sys
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from pytest_django import Settings

from backups.checks.notices import check_notices, check_told


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("BACKUPS_NOTIFY_MAIL", "ops@example.org", "E080"),
        ("BACKUPS_NOTIFY_MAIL", ["ops"], "E080"),
        ("BACKUPS_WEBHOOK", "hooks.example.org/s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "ftp://hooks.example.org/s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "file:///s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "https:///s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "https://[::1/s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "https://hooks.example.org:99999/s3cret", "E081"),
        ("BACKUPS_WEBHOOK", "https://hooks.example.org/s3cret\n/x", "E081"),
        ("BACKUPS_PING_URL", "https://hooks.example.org/s3cret/ä", "E082"),
        ("BACKUPS_WEBHOOK", "http://hooks.example.org/s3cret", "W081"),
        ("BACKUPS_PING_URL", "http://10.0.0.7/s3cret", "W082"),
        ("BACKUPS_REMIND_HOURS", 0, "E083"),
        ("BACKUPS_REMIND_HOURS", "day", "E083"),
        ("BACKUPS_MAX_AGE", -1, "E084"),
        ("BACKUPS_MAX_AGE", "2 days", "E084"),
        ("BACKUPS_MAX_AGE", timedelta(0), "E084"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: Any, number: str, settings: Settings) -> None:
    setattr(settings, name, value)
    (message,) = check_notices()
    assert message.id == f"backups.{number}"
    assert name in message.msg
    assert message.hint
    assert "s3cret" not in f"{message.msg}{message.hint}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKUPS_NOTIFY_MAIL", []),
        ("BACKUPS_NOTIFY_MAIL", ("ops@example.org",)),
        ("BACKUPS_WEBHOOK", "https://user:pw@hooks.example.org/x?y=z"),
        ("BACKUPS_WEBHOOK", "http://127.0.0.1:9000/x"),
        ("BACKUPS_PING_URL", "https://hc-ping.com/1f"),
        ("BACKUPS_REMIND_HOURS", 0.5),
        ("BACKUPS_MAX_AGE", 86400),
        ("BACKUPS_MAX_AGE", timedelta(days=2)),
    ],
)
def test_a_good_setting_is_no_matter(name: str, value: Any, settings: Settings) -> None:
    setattr(settings, name, value)
    assert check_notices() == []


def test_a_url_is_checked_where_the_package_of_the_client_is_missing(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.BACKUPS_WEBHOOK = "http://127.0.0.1:9000/x"
    for name in [each for each in sys.modules if each.startswith("backups.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "backups.checks.notices")
    monkeypatch.setitem(sys.modules, "requests", None)  # as if it were not installed
    assert import_module("backups.checks.notices").check_notices() == []


def test_a_schedule_of_which_nobody_is_told_is_a_warning(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE, settings.BACKUPS_NOTIFY_MAIL = "0 3 * * *", None
    settings.ADMINS = []
    (message,) = check_told()
    assert (message.id, message.is_serious()) == ("backups.W080", False)
    assert "manage.py backups notify --test" in str(message.hint)
    settings.ADMINS = [("Ops", "ops@example.org")]
    assert check_told() == []
    settings.ADMINS, settings.BACKUPS_PING_URL = [], "https://hc-ping.com/1f"
    assert check_told() == []
    settings.BACKUPS_PING_URL, settings.BACKUPS_SCHEDULE = "", ""
    assert check_told() == []
