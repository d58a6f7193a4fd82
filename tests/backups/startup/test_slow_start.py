"""What is said when the site's apps do not get ready after a restore."""

import os
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.apps import apps

from backups.sqlite.records.receipts import make_receipt
from backups.startup import slow_start

APPLIED = make_receipt(datetime.now(UTC), "applied")
STAGED = replace(APPLIED, outcome="staged")
LONG_AGO = replace(APPLIED, at=datetime.now(UTC) - timedelta(days=8))


def watch(*receipts: object, is_command: bool = False) -> None:
    """Returns when the thread, if there is one, has ended."""
    before = set(threading.enumerate())
    slow_start.watch(list(receipts), is_command=is_command)  # type: ignore[arg-type]
    for thread in set(threading.enumerate()) - before:
        thread.join()


@pytest.fixture(autouse=True)
def _not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "ready_event", threading.Event())
    monkeypatch.setattr(slow_start, "SECONDS", 0.01)


def test_start_that_is_not_ready_after_a_restore_says_how_to_go_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch(STAGED, APPLIED)
    (message,) = caplog.messages
    assert "not ready after 0.01 seconds" in message
    assert f"applied at {APPLIED.at:%Y-%m-%d}" in message
    assert "manage.py restore_db --undo" in message


def test_start_that_is_ready_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    apps.ready_event.set()
    watch(APPLIED)
    assert caplog.messages == []


@pytest.mark.parametrize("receipts", [(), (STAGED,), (LONG_AGO,)])
def test_without_a_restore_of_late_nobody_waits(receipts: tuple[object, ...]) -> None:
    with mock.patch.object(threading, "Thread") as thread:
        slow_start.watch(list(receipts), is_command=True)  # type: ignore[arg-type]
    thread.assert_not_called()


def test_no_thread_runs_where_uwsgi_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", mock.Mock())
    with mock.patch.object(threading, "Thread") as thread:
        slow_start.watch([APPLIED], is_command=False)
    thread.assert_not_called()


def test_thread_that_the_system_refuses_stops_no_start() -> None:
    with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start")):
        slow_start.watch([APPLIED], is_command=False)


def test_command_of_ours_begins_again_with_the_same_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mock.patch.object(os, "execve") as execve:
        watch(APPLIED, is_command=True)
    ((program, words, environment),) = (call.args for call in execve.call_args_list)
    assert (program, words) == (sys.executable, [sys.executable, *sys.orig_argv[1:]])
    assert environment == os.environ | {slow_start.AGAIN: "1"}
    assert "starts again without them" in caplog.messages[0]


def test_command_that_has_begun_again_leaves_the_other_apps_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other, ours = apps.get_app_config("contenttypes"), apps.get_app_config("backups")
    hanging = mock.Mock()
    monkeypatch.setattr(other, "ready", hanging)
    monkeypatch.setattr(apps, "get_app_configs", lambda: [other, ours])
    monkeypatch.setenv(slow_start.AGAIN, "1")
    before = ours.ready
    watch(APPLIED, is_command=True)
    other.ready()
    assert not hanging.called
    assert ours.ready == before


def test_process_that_a_command_has_started_makes_all_apps_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variable is inherited by whatever the command starts."""
    monkeypatch.setenv(slow_start.AGAIN, "1")
    with mock.patch.object(slow_start, "_leave_others") as leave:
        watch(APPLIED)
    leave.assert_not_called()
