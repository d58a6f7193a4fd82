import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from backups.api.time_limits import warn_of_time_limit
from tests.site import Site


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    """As if nothing had been asked for in this process."""
    warn_of_time_limit.cache_clear()
    yield
    warn_of_time_limit.cache_clear()


@pytest.mark.proof
def test_sync_worker_of_gunicorn_is_told_in_the_log_with_its_limit(site: Site) -> None:
    with site.serving("--worker-class", "sync", "--threads", "1", "--timeout", "45") as server:
        server.api("GET", "restore")
        warning = server.wait_for_log("gunicorn's sync worker ends every request after .*")
    assert "after 45 seconds" in warning[0]
    assert "--threads 4" in warning[0]


@pytest.mark.proof
def test_site_s_own_workers_have_no_such_limit(site: Site) -> None:
    with site.serving() as server:
        assert server.api("GET", "restore").status_code == 200
    assert "ends every request" not in "".join(server.log)


def serve_by_uwsgi(monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    """What a process of uWSGI has, and no other."""
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt=options))


def test_harakiri_of_uwsgi_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve_by_uwsgi(monkeypatch, {"master": True, "harakiri": b"20"})
    warn_of_time_limit()
    warn_of_time_limit()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "uWSGI's harakiri ends every request after 20 seconds" in record.getMessage()


@pytest.mark.parametrize(
    "options",
    [{}, {"harakiri": b"0"}, {"harakiri": b"3600"}, {"harakiri": [b"1", b"2"]}, None],
    ids=["none", "off", "an hour", "twice", "unknown"],
)
def test_nothing_is_said_where_nothing_is_known_or_nothing_is_wrong(
    options: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve_by_uwsgi(monkeypatch, options)
    warn_of_time_limit()
    assert caplog.records == []
