"""``manage.py backups notify --test``: what it prints, and how it ends."""

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.backups.notices.listener import Listener

pytestmark = pytest.mark.usefixtures("live")


def test_each_channel_is_tried_and_named(
    webhook: Listener, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BACKUPS_PING_URL = f"{webhook.url}/ping/1f"
    call_command("backups", "notify", "--test")
    assert capsys.readouterr().out.splitlines() == [
        f"webhook to {webhook.url}: sent",
        f"ping to {webhook.url}: sent",
    ]


def test_one_that_fails_is_said_and_ends_it_with_1(
    webhook: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.status = 404
    with pytest.raises(CommandError, match="Not every test was sent") as ended:
        call_command("backups", "notify", "--test")
    assert ended.value.returncode == 1
    out, _ = capsys.readouterr()
    assert out == f"webhook to {webhook.url}: FAILED. {webhook.url} answered 404 Not Found.\n"


def test_where_nobody_is_told_it_says_what_to_set() -> None:
    with pytest.raises(CommandError, match=r"no channel is set.*BACKUPS_WEBHOOK"):
        call_command("backups", "notify", "--test")


def test_it_sends_nothing_unless_a_test_is_asked_for(webhook: Listener) -> None:
    with pytest.raises(CommandError, match="--test"):
        call_command("backups", "notify")
    assert webhook.got == []
