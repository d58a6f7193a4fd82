"""Who is told what when backups fail, are missed, and work again: real mail, real HTTP."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message

import pytest
import time_machine
from pytest_django import Settings

from backups.archive import services as archive
from backups.archive.state import State, change_state, note_failed, read_state
from backups.exceptions import StoreFolderError
from backups.notices import channels, request, services
from backups.notices.services import is_due
from tests.backups.notices.conftest import use_mail_server
from tests.backups.notices.listener import Listener
from tests.site import Site

pytestmark = pytest.mark.usefixtures("live")

MONDAY = datetime(2026, 11, 23, 3, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fail(error: str = "The disk is full.") -> None:
    """What a scheduled backup does that fails."""
    note_failed(error)
    services.failed(error, hint="Free some space.")


def succeed() -> None:
    """What one does that works."""
    archive.store(by="schedule")
    services.succeeded()


def events(listener: Listener) -> list[str]:
    return [each.json["event"] for each in listener.got]


@pytest.mark.parametrize(
    ("told", "hours_ago", "event", "is_told"),
    [
        ("", None, "failed", True),
        ("", None, "missed", True),
        ("failed", 23.9, "failed", False),
        ("failed", 24, "failed", True),
        ("failed", 1, "missed", True),
        ("missed", 1, "missed", False),
        ("missed", 25, "missed", True),
        ("missed", 1, "failed", True),
        ("failed", -23, "failed", False),  # the clock was set back
        ("failed", -25, "failed", True),
    ],
)
def test_people_are_told_of_what_is_new_and_once_a_day_as_long_as_it_lasts(
    told: str, hours_ago: float | None, event: str, is_told: bool
) -> None:
    told_at = None if hours_ago is None else MONDAY - HOUR * hours_ago
    assert is_due(State(told=told, told_at=told_at), event, MONDAY) is is_told


def test_a_failure_is_told_once_then_each_day_and_so_is_its_end(webhook: Listener) -> None:
    for hours, act, told in (
        (0, succeed, []),  # nobody is told that all is well
        (1, fail, ["failed"]),
        (2, fail, []),
        (24, fail, []),
        (25.1, fail, ["failed"]),
        (26, succeed, ["recovered"]),
        (27, succeed, []),
        (28, fail, ["failed"]),
    ):
        before = len(webhook.got)
        with time_machine.travel(MONDAY + HOUR * hours, tick=True):
            act()
        assert events(webhook)[before:] == told, hours


def test_a_missed_run_is_told_with_its_time_and_that_it_works_again(webhook: Listener) -> None:
    services.missed(MONDAY)
    succeed()
    missed, recovered = (each.json for each in webhook.got)
    assert "due at 2026-11-23 03:00:00 UTC" in missed["message"]
    assert "Before it, one backup failed or did not take place (since " in recovered["message"]
    assert read_state().told == ""
    assert read_state().troubles == 0


def test_a_webhook_gets_all_that_is_known_as_json(webhook: Listener, live: Site) -> None:
    stored = archive.store(by="schedule").snapshot
    fail("The bucket is gone.")
    (got,) = webhook.got
    assert (got.method, got.path) == ("POST", "/hook/t0ken")
    assert got.headers["Content-Type"].startswith("application/json")
    said = got.json
    assert said["event"] == "failed"
    assert (said["site"], said["database"]) == ("taskdog", "default")
    assert (said["message"], said["hint"]) == ("The bucket is gone.", "Free some space.")
    assert (said["last_id"], said["failures"]) == (stored.id, 1)
    assert said["last_success"] == read_state().last_success.isoformat(timespec="seconds")  # type: ignore[union-attr]
    assert said["verified_id"] is None
    assert datetime.fromisoformat(said["at"]) - datetime.now(UTC) < HOUR


def test_a_mail_says_what_failed_since_when_what_is_left_and_what_to_do(
    mails: list[Message], live: Site
) -> None:
    with time_machine.travel(MONDAY, tick=True):
        stored = archive.store(by="schedule").snapshot
    with time_machine.travel(MONDAY + DAY + HOUR, tick=True):
        fail()
    (mail,) = mails
    assert mail["Subject"] == "taskdog: a backup failed"
    assert (mail["From"], mail["To"]) == ("site@example.org", "ops@example.org")
    assert mail["Auto-Submitted"] == "auto-generated"
    text = str(mail.get_payload())
    for words in (
        "The disk is full.",
        "What to do next: Free some space.",
        "Failed or missed: 1, since 2026-11-24 04:00:0",
        "Storage:          the folder ",
        f"Newest stored:    {stored.id}, taken at 2026-11-23 03:00:0",
        "(1 day, ",
        "Newest verified:  none: no stored snapshot was found restorable yet",
        "manage.py backup --store ",
    ):
        assert words in text


def test_admins_get_mail_if_nobody_else_is_named(mails: list[Message], settings: Settings) -> None:
    settings.BACKUPS_NOTIFY_MAIL = None
    settings.ADMINS = [("Ops", "admin@example.org")]
    fail()
    assert [mail["To"] for mail in mails] == ["admin@example.org"]


def refuse(listener: Listener) -> str:
    listener.status = 500
    return "answered 500 Internal Server Error"


def redirect(listener: Listener) -> str:
    listener.status, listener.location = 302, "file:///etc/passwd"
    return "redirects to another URL (302), which is not followed"


def hang(listener: Listener) -> str:
    listener.hangs = True
    return "did not answer: it took more than 0 seconds"


@pytest.mark.parametrize("misbehave", [refuse, redirect, hang])
def test_a_webhook_that_fails_fails_no_backup_and_is_noted_without_its_secret(
    misbehave: Callable[[Listener], str],
    webhook: Listener,
    mails: list[Message],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(request, "SECONDS", 0.2)
    words = misbehave(webhook)
    fail()
    assert len(mails) == 1, "the other channel"
    (noted,) = read_state().notice_errors
    assert noted.startswith("webhook: http://127.0.0.1:")
    assert words in noted
    assert "t0ken" not in noted + caplog.text
    assert words in caplog.text
    webhook.status, webhook.location, webhook.hangs = 200, "", False
    succeed()
    assert read_state().notice_errors == ()


def test_a_channel_that_never_ends_keeps_the_next_backup_waiting_no_longer_than_its_limit(
    webhook: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "SECONDS", 0.2)
    webhook.hangs = True
    fail()
    assert read_state().notice_errors == ("webhook: It took more than 0 seconds.",)


def test_a_notice_that_reached_nobody_is_sent_with_the_next_failure(webhook: Listener) -> None:
    webhook.status = 503
    fail()
    assert read_state().told == ""
    webhook.status = 200
    fail()
    assert events(webhook) == ["failed", "failed"]
    webhook.status = 503
    succeed()
    assert read_state().told == "failed", "nobody knows that it works again"
    webhook.status = 200
    succeed()
    assert events(webhook)[-1] == "recovered"
    assert "2 backups failed" in webhook.got[-1].json["message"]


def test_two_processes_that_fail_at_once_tell_it_once(webhook: Listener) -> None:
    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events(webhook) == ["failed"]
    assert read_state().troubles == 4


def test_a_mail_server_that_is_gone_fails_nothing(mails: list[Message], settings: Settings) -> None:
    use_mail_server(settings, 1)
    fail()
    (noted,) = read_state().notice_errors
    assert noted == "mail: The mail could not be sent: [Errno 111] Connection refused."


@pytest.mark.parametrize("place", ["changed_state", "named_lock"])
def test_a_full_disk_is_told_though_nothing_can_be_remembered(
    place: str, webhook: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreFolderError("no room")

    monkeypatch.setattr(f"backups.sqlite.store.{place}", refuse)
    services.failed("x")
    assert "no room" in caplog.text
    assert events(webhook) == ["failed"]
    assert webhook.got[0].json["failures"] == 1


def test_errors_that_were_changed_by_hand_keep_nobody_from_being_told(webhook: Listener) -> None:
    change_state(lambda state: replace(state, notice_errors=("by hand", "mail: gone")))
    fail()
    assert events(webhook) == ["failed"]
    assert "mail: gone" in read_state().notice_errors


# A monitor


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("/ping/1f", ["/ping/1f/start", "/ping/1f", "/ping/1f/fail", "/ping/1f/fail"]),
        ("/ping/1f/?create=1", ["/ping/1f/start?create=1", "/ping/1f/?create=1"]),
    ],
)
def test_a_monitor_is_told_of_each_backup(
    path: str, paths: list[str], listener: Listener, settings: Settings
) -> None:
    settings.BACKUPS_PING_URL = f"{listener.url}{path}"
    services.began()
    succeed()
    fail("The disk is full.")
    services.missed(MONDAY)
    assert listener.paths[: len(paths)] == paths
    assert [each.method for each in listener.got] == ["POST"] * 4
    assert listener.got[2].body == b"The disk is full."


def test_uptime_kuma_gets_what_it_knows(listener: Listener, settings: Settings) -> None:
    settings.BACKUPS_PING_URL = f"{listener.url}/api/push/abc?status=up&msg=OK&ping="
    services.began()
    succeed()
    fail("The disk is full & gone.")
    up, down = listener.got
    seconds = read_state().last_seconds
    assert up.method == "GET"
    last = read_state().last_id
    assert up.path == (
        f"/api/push/abc?status=up&msg=The+last+backup+succeeded%3A+{last}."
        f"&ping={round(seconds * 1000)}"
    )
    assert down.path.startswith("/api/push/abc?status=down&msg=The+disk+is+full+%26+gone.&ping=")


# Secrets


def test_no_secret_is_told_that_an_error_quotes(
    webhook: Listener, mails: list[Message], settings: Settings
) -> None:
    fail(f"Can't reach https://key:s3cret@bucket.example.org, nor {settings.BACKUPS_WEBHOOK}.")
    told = webhook.got[0].body.decode() + str(mails[0])
    assert "s3cret" not in told
    assert "https://***@bucket.example.org" in told
    assert "t0ken" not in told


def test_a_name_and_a_password_in_the_url_go_into_a_header(
    listener: Listener, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BACKUPS_WEBHOOK = listener.url.replace("//", "//ops:p%40ss@") + "/x"
    fail()
    assert listener.got[0].headers["Authorization"] == "Basic b3BzOnBAc3M="
    listener.status = 401
    services.missed(MONDAY)
    assert "answered 401" in caplog.text
    assert "p%40ss" not in caplog.text


# The test


def test_a_test_goes_by_each_channel_and_says_what_happened(
    webhook: Listener, mails: list[Message], settings: Settings
) -> None:
    settings.BACKUPS_PING_URL = f"{webhook.url}/ping"
    assert services.send_test() == [
        ("mail to ops@example.org", ""),
        (f"webhook to {webhook.url}", ""),
        (f"ping to {webhook.url}", ""),
    ]
    assert mails[0]["Subject"] == "taskdog: a test of the notices"
    assert webhook.paths == ["/hook/t0ken", "/ping"]
    assert webhook.got[0].json["event"] == "test"
    note_failed("The disk is full.")
    services.send_test()
    assert webhook.paths[2:] == ["/hook/t0ken", "/ping/fail"], "a test turns no monitor green"
    assert read_state().told == ""


def test_nobody_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    services.began()
    fail()
    succeed()
    assert services.send_test() == []
    assert caplog.text == ""
