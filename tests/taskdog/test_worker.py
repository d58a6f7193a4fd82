"""A real server and clients that are slow in each way; their limits are short here."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from taskdog.worker import LANES, lane
from tests.processes import CHECKOUT
from tests.site import Server, Site, copy_site

MANY = 40  # more than the threads of a process that serve anything
CONNECTIONS = 100
SECONDS = 60.0

HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: local"
HALF_A_FORM = (
    b"POST /api-auth/login/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\na="
)
HALF_AN_UNDO = HALF_A_FORM.replace(b"/api-auth/login/", b"/api/v1/restore/undo")
HALF_A_LONG_FORM = HALF_A_FORM.replace(b"5000", b"1048576")
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def server(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker waits for a head for two seconds, and for a client that has stopped as long."""
    folder = tmp_path_factory.mktemp("impatient")
    site = copy_site(template_site, folder / "data")
    config = CHECKOUT / "taskdog" / "gunicorn.conf.py"
    impatient = folder / "impatient.conf.py"
    impatient.write_text(
        f"__file__ = {str(config)!r}\n"
        f"exec(compile(open(__file__).read(), __file__, 'exec'))\n"
        f"from taskdog import worker\n"
        f"worker.HEAD_SECONDS = 2.0\n"
        f"worker.ROOM_BYTES = 2 * worker.BODY_BYTES\n"
        f"worker_connections = {CONNECTIONS}\n"
    )
    with site.serving("--config", str(impatient), TASKDOG_STALL_SECONDS="2") as running:
        yield running


def connect(server: Server, first: bytes) -> socket.socket:
    """A connection on which this was sent."""
    parts = urlsplit(server.url)
    client = socket.create_connection((parts.hostname, parts.port), timeout=SECONDS)
    client.sendall(first)
    return client


def rest(client: socket.socket) -> bytes:
    """All that still comes until the server closes."""
    received = bytearray()
    while chunk := client.recv(65536):
        received += chunk
    return bytes(received)


def is_well(server: Server) -> bool:
    with connect(server, HEALTH + b"Connection: close\r\n\r\n") as client:
        return rest(client).endswith(b'{"status": "ok"}')


@pytest.mark.proof
@pytest.mark.parametrize(
    "half", [HALF_A_HEAD, HALF_A_FORM, HALF_AN_UNDO], ids=["head", "form", "undo"]
)
def test_half_a_request_holds_no_thread_and_has_an_end(server: Server, half: bytes) -> None:
    with ExitStack() as held:
        clients = [held.enter_context(connect(server, half)) for _ in range(MANY)]
        assert is_well(server)
        for client in clients:
            assert rest(client).startswith(b"HTTP/1.1 408 ")


@pytest.mark.proof
def test_connection_that_says_nothing_is_closed(server: Server) -> None:
    with connect(server, b"") as client:
        assert rest(client) == b""


@pytest.mark.proof
def test_of_too_many_connections_the_oldest_idle_one_makes_room(server: Server) -> None:
    with ExitStack() as held:
        clients = [held.enter_context(connect(server, b"")) for _ in range(3 * CONNECTIONS)]
        assert is_well(server)
        assert rest(clients[0]) == b""


@pytest.mark.proof
def test_of_too_many_bodies_the_oldest_makes_room_and_no_thread_waits_for_one(
    server: Server,
) -> None:
    with ExitStack() as held:
        clients = [held.enter_context(connect(server, HALF_A_LONG_FORM)) for _ in range(MANY)]
        assert server.http.get(f"{server.url}/api/v1/tasks").ok
        assert rest(clients[0]) == b""
        assert rest(clients[-1]).startswith(b"HTTP/1.1 408 ")


@pytest.mark.proof
def test_endless_head_is_refused(server: Server) -> None:
    with connect(server, HEALTH + b"X: " + b"a" * 70_000) as client:
        assert rest(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.proof
def test_requests_that_come_together_are_answered_in_order(server: Server) -> None:
    key = str(server.http.headers["X-Api-Key"]).encode()
    post = b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + key + b"\r\n"
    body = b'{"name": "sent with another"}'
    post += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = HEALTH + b"Connection: close\r\n\r\n"
    with connect(server, HEALTH + b"\r\n" + post + body + last) as client:
        answers = rest(client)
    assert answers.count(b"HTTP/1.1 ") == 3
    assert answers.index(b'"ok"') < answers.index(b"sent with another") < answers.rindex(b'"ok"')


@pytest.mark.proof
def test_client_that_asks_whether_to_send_its_body_is_told_to_once(server: Server) -> None:
    key = str(server.http.headers["X-Api-Key"]).encode()
    head = b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + key + b"\r\n"
    head += b"Content-Type: application/json\r\nConnection: close\r\n"
    head += b"Content-Length: 15\r\nExpect: 100-continue\r\n\r\n"
    with connect(server, head) as client:
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(json.dumps({"name": "asked"})[:15].encode().ljust(15))
        answer = rest(client)
    assert b"100 Continue" not in answer
    assert answer.startswith(b"HTTP/1.1 422 ")  # what was sent is not whole


@pytest.mark.proof
def test_refused_upload_is_answered_while_its_client_still_sends(server: Server) -> None:
    """The whole of it goes through, so that a client which sends first and reads then sees why."""
    answer = requests.post(
        f"{server.url}/api/v1/restore",
        data=bytes(20_000_000),
        headers={"Content-Type": "application/vnd.sqlite3"},
        timeout=SECONDS,
    )
    assert answer.status_code == 401
    assert is_well(server)


@pytest.mark.proof
def test_body_that_nobody_reads_is_not_taken_for_the_next_request(server: Server) -> None:
    smuggled = HEALTH + b"\r\n"
    head = b"POST /api/v1/restore HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/vnd.sqlite3\r\nContent-Length: 5000000\r\n\r\n"
    with connect(server, head + smuggled) as client:
        answers = rest(client)
    assert answers.startswith(b"HTTP/1.1 401 ")
    assert b'"ok"' not in answers


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        (b"GET", b"/health", "health"),
        (b"GET", b"/api/v1/tasks", "pages"),
        (b"POST", b"/api/v1/tasks", "changes"),
        (b"DELETE", b"/api/v1/tasks/1", "changes"),
        (b"POST", b"/api/v1/restore", ""),
        (b"GET", b"/api/v1/backup", ""),
        (b"POST", b"/api-auth/login/", "pages"),
        (b"", b"", "pages"),
    ],
)
def test_each_kind_of_request_has_its_threads(method: bytes, path: bytes, expected: str) -> None:
    assert lane(method, path) == expected
    assert expected in {"", *LANES}
