"""Whether a client is still there, over real connections."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from backups.api.hang_up import ARE_YOU_THERE, Line, watch
from backups.exceptions import UploadAbandonedError
from tests.backups.waiting import until

Pair = tuple[socket.socket, socket.socket]  # the server's end and the client's


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection over TCP: a socket pair ends in another way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        yield server, client


@pytest.mark.parametrize("may_ask", [True, False])
def test_client_that_waits_is_there(pair: Pair, *, may_ask: bool) -> None:
    server, client = pair
    client.sendall(b"the next request")  # which nobody has asked for yet
    assert not any(Line(server, may_ask=may_ask).has_left() for _ in range(3))
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)  # nobody has asked it anything


@pytest.mark.parametrize("may_ask", [True, False])
@pytest.mark.parametrize("unread", [b"", b"the next request"])
def test_client_that_closed_its_connection_has_left(
    pair: Pair, unread: bytes, *, may_ask: bool
) -> None:
    server, client = pair
    client.sendall(unread)
    client.close()
    line = Line(server, may_ask=may_ask)
    assert until(line.has_left)
    assert line.has_left()


def test_client_whose_system_reset_the_connection_has_left(pair: Pair) -> None:
    server, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert until(Line(server, may_ask=True).has_left)


def test_client_that_has_only_sent_all_it_had_is_there(pair: Pair) -> None:
    """It can still read the answer. It is asked once, in words that it reads past."""
    server, client = pair
    line = Line(server, may_ask=True)
    client.shutdown(socket.SHUT_WR)
    assert not line.has_left()
    assert client.recv(len(ARE_YOU_THERE)) == ARE_YOU_THERE
    assert not any(line.has_left() for _ in range(3))
    server.sendall(b"the answer")
    assert client.recv(100) == b"the answer"


def test_client_that_can_not_be_asked_has_left_when_it_ends_what_it_sends(pair: Pair) -> None:
    """As nginx does, which speaks HTTP/1.0 to us and closes the whole connection."""
    server, client = pair
    client.shutdown(socket.SHUT_WR)
    assert until(Line(server, may_ask=False).has_left)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)


def request(**environ: Any) -> HttpRequest:
    return RequestFactory(**environ).post("/")


def test_request_of_gunicorn_is_watched_by_its_socket(pair: Pair) -> None:
    server, client = pair
    check = watch(request(**{"gunicorn.socket": server, "SERVER_PROTOCOL": "HTTP/1.0"}))
    assert check is not None
    check()
    client.close()

    def raises() -> bool:
        try:
            check()
        except UploadAbandonedError as error:
            return "hung up" in str(error)
        return False

    assert until(raises)


@pytest.mark.parametrize("connection", [None, object()])
def test_request_of_another_server_is_not_watched(connection: object) -> None:
    assert watch(request(**{"gunicorn.socket": connection})) is None
    assert watch(request()) is None
