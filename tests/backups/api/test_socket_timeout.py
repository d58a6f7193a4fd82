"""Clients that stall or trickle: at a pair of sockets, and at a gunicorn that is not our own."""

import io
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings

from backups.api import socket_timeout
from backups.api.pace import TooSlowError
from backups.api.socket_timeout import PacedBody, PacedStream
from tests.backups.uploads import add_ballast
from tests.backups.waiting import until
from tests.site import Server, Site, copy_site

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.BACKUPS_STALL_SECONDS = 0.05
    settings.BACKUPS_MIN_BYTES_PER_SECOND = 10**9


@pytest.fixture
def ends() -> Iterator[Ends]:
    here, there = socket.socketpair()
    with closing(here), closing(there):
        yield here, there


@pytest.fixture(params=["gunicorn", "uwsgi"])
def environ(request: pytest.FixtureRequest, ends: Ends, monkeypatch: Any) -> dict[str, Any]:
    """What each server says of the connection."""
    known: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1"}
    if request.param == "gunicorn":
        return known | {"gunicorn.socket": ends[0]}
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=ends[0].fileno))
    return known


def test_upload_that_stalls_is_given_up_and_its_client_can_still_be_told(
    environ: dict[str, Any], ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    with ends[0].makefile("rb") as stream:
        upload = PacedStream(stream, environ)
        ends[1].sendall(b"the first bytes")
        with pytest.raises(TooSlowError):
            upload.read(1000)
    ends[0].sendall(b"400")
    assert ends[1].recv(10) == b"400"
    (record,) = caplog.records
    assert "192.0.2.1 was dropped: less than" in record.getMessage()


def test_download_that_stalls_is_ended_while_the_server_sends(
    environ: dict[str, Any], ends: Ends
) -> None:
    body = iter(PacedBody([bytes(50_000_000)], environ))
    with pytest.raises(BrokenPipeError):
        ends[0].sendall(next(body))
    with pytest.raises(TooSlowError):
        next(body)


def test_transfer_as_fast_as_it_should_be_is_left_alone(
    environ: dict[str, Any], ends: Ends
) -> None:
    assert list(PacedBody([b"a", b"b"], environ)) == [b"a", b"b"]
    ends[1].sendall(b"whole")
    with ends[0].makefile("rb") as stream:
        assert PacedStream(stream, environ).read(5) == b"whole"


def test_nothing_is_done_to_a_connection_that_is_not_waited_for(
    environ: dict[str, Any], ends: Ends
) -> None:
    """Its number may be another connection's by then."""
    with ends[0].makefile("rb") as stream:
        upload = PacedStream(stream, environ)
        ends[1].sendall(b"ab")
        assert upload.read(1) == b"a"
        here, there = socket.socketpair()
        with (
            closing(there),
            closing(here),
            here.makefile("rb") as stalled,
            pytest.raises(TooSlowError),  # which comes after the deadline of the first
        ):
            PacedStream(stalled, {"gunicorn.socket": here}).read(1)
        assert upload.read(1) == b"b"


def test_pace_is_looked_at_between_reads_where_the_connection_is_not_known() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            time.sleep(0.1)  # to be slow is what is tried here
            return super().read(size)

    with pytest.raises(TooSlowError):
        PacedStream(Slow(b"ab"), {}).read(1)


def test_answer_that_is_dropped_by_who_holds_the_lock_is_given_up_all_the_same(
    settings: Settings, ends: Ends
) -> None:
    """Python can collect it at any moment, also in the thread that looks at the deadlines."""
    settings.BACKUPS_STALL_SECONDS = 60
    answer = iter(PacedBody([b"first", b"second"], {"gunicorn.socket": ends[0]}))
    assert next(answer) == b"first"
    with socket_timeout._watcher._lock:
        del answer
    assert not socket_timeout._watcher._watched


def test_transfer_goes_on_where_no_thread_can_be_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_STALL_SECONDS = 60
    monkeypatch.setattr(socket_timeout, "_watcher", socket_timeout._Watcher())
    monkeypatch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("none left")))
    assert list(PacedBody([b"first", b"second"], {})) == [b"first", b"second"]
    monkeypatch.undo()
    assert PacedStream(io.BytesIO(b"body"), {}).read(4) == b"body"


class PacedItself(socket.socket):
    """As a server's own, which looks at the pace of its client."""

    pace = None


def test_connection_that_has_a_pace_of_its_own_is_left_to_its_server() -> None:
    """It may hold back megabytes, which one chunk of a client that is fast enough waits for."""
    with PacedItself() as connection:
        environ = {"gunicorn.socket": connection}
        taken = iter(PacedBody([b"x" * 1000, b"y"], environ))
        assert next(taken) == b"x" * 1000
        assert not socket_timeout._watcher._watched
        assert PacedStream(io.BytesIO(b"body"), environ).read(4) == b"body"


def test_body_is_closed_with_its_wrapper() -> None:
    closed = []
    body = SimpleNamespace(close=lambda: closed.append(True))
    PacedBody(body, {}).close()
    assert closed


# A server that is not our own

UPLOAD = (
    b"POST /api/v1/restore HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"
    b"Content-Type: application/vnd.sqlite3\r\nContent-Length: 50000000\r\n\r\nSQLite format 3\0"
)
DOWNLOAD = b"GET /api/v1/backup?compact=0 HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n\r\n"


@pytest.fixture(scope="module")
def plain(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = copy_site(template_site, tmp_path_factory.mktemp("plain") / "data")
    add_ballast(site.database, 20)
    return site


@pytest.fixture(scope="module")
def server(plain: Site) -> Iterator[Server]:
    """Gunicorn's own threaded worker; it gives a client up that stalls for a second."""
    with plain.serving(
        *("--worker-class", "gthread", "--threads", "8"),
        TASKDOG_STALL_SECONDS="1",
        TASKDOG_MIN_BYTES_PER_SECOND="1000000",
        TASKDOG_SNAPSHOTS_AT_ONCE="1",
        TASKDOG_UPLOADS_AT_ONCE="20",
    ) as running:
        yield running


def ask(server: Server, request: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    parts = urlsplit(server.url)
    client.connect((parts.hostname, parts.port))
    client.sendall(request % str(server.http.headers["X-Api-Key"]).encode())
    return client


@pytest.mark.proof
def test_upload_whose_client_has_vanished_leaves_no_thread_and_no_file(
    server: Server, plain: Site
) -> None:
    with ExitStack() as held:
        clients = [held.enter_context(ask(server, UPLOAD)) for _ in range(3)]
        for client in clients:
            assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    server.wait_for_log("was dropped: less than 1e[+]06 bytes a second")
    assert server.api("GET", "restore").json()["status"] == "nothing"
    assert not [name for name in plain.names() if ".incoming-" in name]


@pytest.mark.proof
def test_reader_that_takes_a_little_now_and_then_gives_its_turn_up(server: Server) -> None:
    with ask(server, DOWNLOAD) as client:
        assert client.recv(12) == b"HTTP/1.1 200"

        def has_free_turn() -> bool:
            with suppress(OSError):
                client.recv(100)
            return server.api("GET", "backup").status_code == 200

        assert not has_free_turn()
        until(has_free_turn)
