"""
A client that stalls must not hold a thread, a snapshot or a file for ever, under any server.

The server waits for the client in ``recv(2)`` or ``send(2)``, where none of our code runs, and a
byte now and then keeps it there. So each wait has a deadline, by the client's ``Pace``, and a
thread of this process ends the connection at the deadline. Gunicorn and uWSGI give us the
connection. Under other servers, we check the pace only when the server asks for more, and their own
settings limit each wait.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import IO, Any

from backups.api.pace import Pace, TooSlowError
from backups.conf import conf

LOOK_SECONDS = 0.5  # how late a deadline may be noticed

logger = logging.getLogger(__name__)


class Transfer:
    """An upload or a download, and its connection if that is known."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._who = str(environ.get("REMOTE_ADDR") or "a client")
        self._connection: socket.socket | int | None = _socket(environ) or _uwsgi_descriptor()
        self._pace = Pace(
            bytes_per_second=conf.min_bytes_per_second, stall_seconds=conf.stall_seconds
        )
        # A server that checks the pace itself may buffer what we give it. A chunk then waits for
        # others, so none of our deadlines would be right.
        self._is_paced = hasattr(self._connection, "pace")
        self.deadline = 0.0
        self.is_dropped = False

    def read(self, stream: IO[bytes], size: int) -> bytes:
        """
        Receive up to so many bytes.

        :raises TooSlowError: they came too slowly. The client can still get an answer.
        """
        if self._is_paced:
            return stream.read(size)
        with self._waiting(size, socket.SHUT_RD):
            chunk = stream.read(size)
        self._moved(len(chunk))
        return chunk

    def send(self, chunk: bytes) -> Iterator[bytes]:
        """
        Give a chunk to the server, and wait until it asks for more.

        :raises TooSlowError: the client took it too slowly.
        """
        if self._is_paced:
            yield chunk
            return
        with self._waiting(len(chunk), socket.SHUT_RDWR):
            yield chunk
        self._moved(len(chunk))

    def end(self, how: int) -> None:
        """End the server's wait after the deadline: it gets an error, or the end of the body."""
        self._drop()
        with suppress(OSError):  # the client has gone
            if isinstance(self._connection, socket.socket):
                socket.socket.shutdown(self._connection, how)  # also if it is one of TLS
            elif self._connection is not None:
                with socket.socket(fileno=os.dup(self._connection)) as duplicate:
                    duplicate.shutdown(how)

    @contextmanager
    def _waiting(self, count: int, how: int) -> Iterator[None]:
        self._pace.begin()
        self.deadline = time.monotonic() + self._pace.seconds_for(count)
        with _watcher.watching(self, how):
            yield

    def _moved(self, count: int) -> None:
        if self._pace.moved(count) <= time.monotonic():
            self._drop()
        if self.is_dropped:
            raise TooSlowError(str(self._pace))

    def _drop(self) -> None:
        if not self.is_dropped:
            self.is_dropped = True
            logger.warning("%s was dropped: %s", self._who, self._pace)


class PacedBody:
    """Takes over the body of an answer. Drops a client that takes it too slowly."""

    def __init__(self, body: Iterable[bytes], environ: Mapping[str, Any]) -> None:
        self._body = body
        self._environ = environ

    def __iter__(self) -> Iterator[bytes]:
        transfer = Transfer(self._environ)
        for chunk in self._body:
            yield from transfer.send(chunk)

    def close(self) -> None:
        """Close the body, whether it was read or not."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class PacedStream:
    """The body of a request. Drops a client that sends it too slowly. Reads nothing by itself."""

    def __init__(self, stream: IO[bytes], environ: Mapping[str, Any]) -> None:
        self._stream = stream
        self._transfer = Transfer(environ)

    def read(self, size: int) -> bytes:
        """:raises TooSlowError: the bytes came too slowly."""
        return self._transfer.read(self._stream, size)


class _Watcher:
    """A thread that ends transfers at their deadlines. It runs while there are transfers."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked child has none of its parent's threads, and serves none of its clients."""
        self._lock = threading.Lock()
        self._watched: dict[Transfer, int] = {}
        self._is_running = False

    @contextmanager
    def watching(self, transfer: Transfer, how: int) -> Iterator[None]:
        """Watch the transfer during the block. After it, leave the connection alone."""
        with self._lock:
            self._watched[transfer] = how
            is_first, self._is_running = not self._is_running, True
        if is_first:
            self._start()
        try:
            yield
        finally:
            # Python may get here while it garbage-collects an answer that a server has dropped, in
            # a thread that holds this lock or that the lock's holder waits for. So wait briefly.
            is_locked = self._lock.acquire(timeout=LOOK_SECONDS)
            self._watched.pop(transfer, None)
            if is_locked:
                self._lock.release()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="backups-stalling", daemon=True).start()
        except RuntimeError:  # the system has no thread left: the next transfer tries again
            self._is_running = False

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                if self._watched:
                    idle_since = now
                elif now - idle_since > 10 * LOOK_SECONDS:
                    self._is_running = False
                    return
                for transfer, how in self._watched.copy().items():
                    if transfer.deadline <= now:
                        self._watched.pop(transfer, None)
                        transfer.end(how)


_watcher = _Watcher()


def check_connected(environ: Mapping[str, Any]) -> None:
    """
    Check that the client is still connected, as far as the system knows.

    :raises OSError: it is not.
    """
    if (connection := _socket(environ)) is not None:
        connection.getpeername()


def _socket(environ: Mapping[str, Any]) -> socket.socket | None:
    """The connection, from gunicorn or werkzeug's server."""
    given = environ.get("gunicorn.socket", environ.get("werkzeug.socket"))
    return given if isinstance(given, socket.socket) else None


def _uwsgi_descriptor() -> int | None:
    """The connection of the request that this thread serves, if this is a process of uWSGI."""
    try:
        return int(import_module("uwsgi").connection_fd())
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
