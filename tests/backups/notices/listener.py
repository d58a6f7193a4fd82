"""A real HTTP server on loopback, which writes down what it gets and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, if that is JSON."""
        return json.loads(self.body)


@dataclass
class Listener:
    """Where it listens, what it got, and what it answers."""

    url: str
    status: int = 200
    location: str = ""
    got: list[Got] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)  # of what hangs
    hangs: bool = False

    @property
    def paths(self) -> list[str]:
        return [each.path for each in self.got]


@contextmanager
def listening() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            listener.got.append(Got(self.command, self.path, dict(self.headers), body))
            if listener.hangs:
                listener.release.wait(60)
            self.send_response(listener.status)
            if listener.location:
                self.send_header("Location", listener.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815  # as the standard library asks for it

        def log_message(self, *_: Any) -> None:
            """Not on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener
        finally:
            listener.release.set()
            server.shutdown()
            thread.join()
