import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import django
import pytest
from django.core import wsgi
from django.dispatch import Signal
from pytest_django import Settings

from backups.conf import conf
from backups.schedule import leader
from backups.startup import command_line, serving
from backups.startup.command_line import CommandLine

REQUESTS = Signal()  # in place of Django's, which has receivers of its own


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[int]:
    """Each time that this process takes part; it is not in a test, and not a command."""
    started: list[int] = []
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    monkeypatch.setattr(serving, "part", serving._Part())
    monkeypatch.setattr(serving, "request_started", REQUESTS)
    monkeypatch.setattr(REQUESTS, "receivers", [])
    monkeypatch.setattr(serving, "is_in_a_test", lambda: False)
    monkeypatch.setattr(leader, "start", lambda: started.append(1))
    run(monkeypatch, "")
    return started


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    command = CommandLine(words[0], words[1:])
    monkeypatch.setattr(command_line, "current", lambda: command)


def load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Get ready as a server's worker does: inside ``get_wsgi_application``."""
    monkeypatch.setattr(django, "setup", lambda **_: serving.watch())
    wsgi.get_wsgi_application()


def test_a_server_that_loads_the_site_takes_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    load(monkeypatch)
    assert started == [1]
    REQUESTS.send(sender=None)
    assert started == [1]


def test_a_program_that_sets_up_django_by_itself_takes_part_once_it_serves(
    started: list[int],
) -> None:
    serving.watch()
    assert not started
    for _ in range(2):
        REQUESTS.send(sender=None)
    assert started == [1]


@pytest.mark.parametrize("words", [("migrate",), ("shell",), ("backups", "run-due"), ("test",)])
def test_no_other_command_takes_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int], words: tuple[str, ...]
) -> None:
    run(monkeypatch, *words)
    load(monkeypatch)
    REQUESTS.send(sender=None)
    assert not started


def test_runserver_takes_part_but_not_the_process_that_only_restarts_it(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    monkeypatch.delenv("RUN_MAIN", raising=False)
    run(monkeypatch, "runserver")
    serving.watch()
    assert not started
    monkeypatch.setenv("RUN_MAIN", "true")
    serving.watch()
    assert started == [1]


def test_runserver_without_the_reloader_takes_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    run(monkeypatch, "runserver", "--noreload")
    serving.watch()
    assert started == [1]


def test_no_schedule_no_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int], settings: Settings
) -> None:
    settings.BACKUPS_SCHEDULE = ""
    load(monkeypatch)
    REQUESTS.send(sender=None)
    assert not started
    assert not REQUESTS.has_listeners()


def test_no_child_of_a_restore_takes_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    monkeypatch.setattr(conf, "is_child", True)
    load(monkeypatch)
    assert not started


def test_no_test_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert serving.is_in_a_test()
    with monkeypatch.context() as without_pytest:
        without_pytest.delitem(sys.modules, "pytest")
        assert serving.is_in_a_test()  # pytest-django has set up Django's own
    monkeypatch.delitem(sys.modules, "django.test.utils")
    assert serving.is_in_a_test()


def test_an_error_is_logged_and_the_site_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> CommandLine:
        raise ValueError("a fault")

    monkeypatch.setattr(command_line, "current", fail)
    serving.watch()
    assert "no scheduled backup is started from this process" in caplog.text


def uwsgi(monkeypatch: pytest.MonkeyPatch, **members: Any) -> SimpleNamespace:
    module = SimpleNamespace(opt={"enable-threads": True}, **members)
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return module


def test_under_uwsgi_each_forked_worker_takes_part(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    called: list[str] = []
    earlier: Callable[[], None] = lambda: called.append("earlier")  # noqa: E731
    module = uwsgi(monkeypatch, worker_id=lambda: 0, post_fork_hook=earlier)
    load(monkeypatch)
    assert not started
    module.post_fork_hook()
    assert not started  # a mule
    module.worker_id = lambda: 2
    module.post_fork_hook()
    assert (started, called) == ([1], ["earlier"] * 2)


def test_a_site_that_takes_the_hook_of_uwsgi_takes_part_at_its_first_request(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    module = uwsgi(monkeypatch, worker_id=lambda: 0)
    load(monkeypatch)
    module.post_fork_hook = None
    REQUESTS.send(sender=None)
    assert started == [1]


def test_under_uwsgi_without_a_master_the_process_takes_part_itself(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    uwsgi(monkeypatch, worker_id=lambda: 1)
    load(monkeypatch)
    assert started == [1]


def test_uwsgi_without_threads_is_told(
    monkeypatch: pytest.MonkeyPatch, started: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    uwsgi(monkeypatch, worker_id=lambda: 1).opt = {"master": True}
    load(monkeypatch)
    assert not started
    assert "Start it with --enable-threads" in caplog.text
