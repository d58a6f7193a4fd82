"""HTTP by hand: requests that stop in the middle, and servers that answer badly."""

import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from backups.sqlite.format.header import MAGIC

SECONDS = 30.0


def as_database(content: bytes, page_size: int = 4096) -> bytes:
    """The content with the header of a database of its length, which is some whole pages."""
    pages, rest = divmod(len(content), page_size)
    assert (pages > 0, rest) == (True, 0)
    counter = (7).to_bytes(4, "big")
    header = MAGIC + (page_size % 65535).to_bytes(2, "big") + bytes((1, 1, 0, 64, 32, 32)) + counter
    header += pages.to_bytes(4, "big") + bytes(60) + counter + bytes(4)
    return header + content[len(header) :]


def start_request(
    url: str, method: str, path: str, headers: dict[str, str | bytes]
) -> HTTPConnection:
    """Send the head of a request and nothing of its body."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def answer_to_head(
    url: str, method: str, path: str, headers: dict[str, str | bytes], body: bytes = b""
) -> tuple[int, bytes]:
    """The answer to a request whose body never comes, or only its first bytes."""
    with closing(start_request(url, method, path, headers)) as connection:
        if body:
            connection.send(body)
        response: HTTPResponse = connection.getresponse()
        return response.status, response.read()


class Request(BaseHTTPRequestHandler):
    """What the stand-in server was asked, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: "StandIn"

    def handle_any(self) -> None:
        """Let the test answer; the connection ends with that."""
        self.close_connection = True
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        self.server.answer(self)

    do_GET = do_POST = do_DELETE = do_CONNECT = handle_any  # noqa: N815  # as http.server calls them

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Send exactly this, and nothing after it."""
        self.send_response_only(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class StandIn(ThreadingHTTPServer):
    """A server that does what a healthy one never does."""

    daemon_threads = True

    def __init__(
        self, answer: Callable[[Request], None], context: ssl.SSLContext | None = None
    ) -> None:
        """Listen on a free port; with a context, for https."""
        super().__init__(("127.0.0.1", 0), Request)
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.answer = answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that trusts no certificate of ours."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


@contextmanager
def standing_in(
    answer: Callable[[Request], None], context: ssl.SSLContext | None = None
) -> Iterator[StandIn]:
    """Serve ``answer`` to every request, in the background."""
    with StandIn(answer, context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
