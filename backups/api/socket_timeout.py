"""
A client that stalls must not hold a thread, a snapshot or a file for ever, under any server.

What waits for a client is the server, in ``recv(2)`` or ``send(2)``, where no code of ours runs,
and a byte now and then keeps it there. So each wait has a deadline, by the client's ``Pace``, and a
thread of this process ends the connection when it passes. The connection must be known: gunicorn
and uWSGI hand it over. Under other servers the pace is looked at when the server comes back for
more, and what it waits for in between is limited by its own settings.
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
    """An upload or a download, and the connection that it goes over, if that is known."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        """:param environ: of the request, by WSGI."""
        self._who = str(environ.get("REMOTE_ADDR") or "a client")
        self._connection: socket.socket | int | None = _socket(environ) or _uwsgi_descriptor()
        self._pace = Pace(
            bytes_per_second=conf.min_bytes_per_second, stall_seconds=conf.stall_seconds
        )
        # A server may look at the pace itself. It can also hold back what it was given, so that one
        # chunk waits for others, and no deadline of ours would be right.
        self._is_paced = hasattr(self._connection, "pace")
        self.deadline = 0.0
        self.is_dropped = False

    def read(self, stream: IO[bytes], size: int) -> bytes:
        """
        Receive up to so many bytes.

        :raises TooSlowError: they came too slowly. The client can still be answered.
        """
        if self._is_paced:
            return stream.read(size)
        with self._waiting(size, socket.SHUT_RD):
            chunk = stream.read(size)
        self._moved(len(chunk))
        return chunk

    def send(self, chunk: bytes) -> Iterator[bytes]:
        """
        Hand this to the server, and wait until that comes back for more.

        :raises TooSlowError: it was taken too slowly.
        """
        if self._is_paced:
            yield chunk
            return
        with self._waiting(len(chunk), socket.SHUT_RDWR):
            yield chunk
        self._moved(len(chunk))

    def end(self, how: int) -> None:
        """The deadline has passed: what waits in the server is woken up, by an error or an end."""
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
    """The body of an answer, whose client is dropped if it takes it too slowly."""

    def __init__(self, body: Iterable[bytes], environ: Mapping[str, Any]) -> None:
        """Takes over the body."""
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
    """The body of a request, whose client is given up if it sends it too slowly."""

    def __init__(self, stream: IO[bytes], environ: Mapping[str, Any]) -> None:
        """Reads nothing yet."""
        self._stream = stream
        self._transfer = Transfer(environ)

    def read(self, size: int) -> bytes:
        """:raises TooSlowError: the bytes came too slowly."""
        return self._transfer.read(self._stream, size)


class _Watcher:
    """Ends the transfers whose deadline has passed, from a thread that runs while there are any."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A child has none of its parent's threads, and serves none of its clients."""
        self._lock = threading.Lock()
        self._watched: dict[Transfer, int] = {}
        self._is_running = False

    @contextmanager
    def watching(self, transfer: Transfer, how: int) -> Iterator[None]:
        """While the block runs. After it, nothing is done to the connection any more."""
        with self._lock:
            self._watched[transfer] = how
            is_first, self._is_running = not self._is_running, True
        if is_first:
            self._start()
        try:
            yield
        finally:
            # Python may get here while it collects an answer that a server has dropped: in a thread
            # that holds this lock, or that its holder waits for. So it is not waited for for long.
            is_locked = self._lock.acquire(timeout=LOOK_SECONDS)
            self._watched.pop(transfer, None)
            if is_locked:
                self._lock.release()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="backups-stalling", daemon=True).start()
        except RuntimeError:  # the system has no thread left: the next one tries again
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
    Before something is begun for a client: is it still there, as far as the system knows?

    :raises OSError: it is not.
    """
    if (connection := _socket(environ)) is not None:
        connection.getpeername()


def _socket(environ: Mapping[str, Any]) -> socket.socket | None:
    """The connection, from gunicorn, or from the server of werkzeug."""
    given = environ.get("gunicorn.socket", environ.get("werkzeug.socket"))
    return given if isinstance(given, socket.socket) else None


def _uwsgi_descriptor() -> int | None:
    """The connection of the request that this thread serves, in a process of uWSGI only."""
    try:
        return int(import_module("uwsgi").connection_fd())
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
