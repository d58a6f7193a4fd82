"""
Gunicorn's threaded worker, in which a client that is slow, or does nothing, costs no thread.

A thread serves a request only when its head and, unless it is an upload, its body have come; until
then the main loop collects them. When an answer is written the thread is free again, and the main
loop sends what the client has not taken yet. So threads are held by work, and by large uploads and
downloads, of which few are let in at once. Each kind of request has threads that no other takes:
however many lists are being written, a task can be changed, and a probe gets its answer.

    accepted -> arriving -> served by a thread -> sending the rest -> closing
                   ^                                     |
                   +------------- kept alive ------------+

Each of these but the thread's ends by a deadline: see docs/security.md, "What a client may do".
"""

import errno
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from backups.api.pace import Pace
from backups.conf import conf
from taskdog.arrivals import Arrival
from taskdog.paced_socket import PacedSocket, Room

HEAD_SECONDS = 10.0  # from the first byte, or from the connection, to the end of the head
CLOSING_SECONDS = 2.0  # for a client to see the answer before what it still sends is refused
DRAIN_SECONDS = 0.1  # for the rest of a body that nobody has read
BODY_BYTES = 1024 * 1024  # a larger body is read by the thread, when it is wanted
ROOM_BYTES = 64 * 1024**2  # of bodies, and as many of answers, in each process
RECEIVE_BYTES = 64 * 1024

# The threads of a process, besides gunicorn's own (``threads``) for backups and restores. Few make
# a list at the same time: they share one interpreter, and more would only make each other slow.
LANES = {"health": 1, "changes": 4, "pages": 8}
TRANSFERS = ""
UPLOAD = (b"POST", b"/api/v1/restore")
SWITCH_SECONDS = 0.001  # a probe waits for its turn behind each thread that computes
SAFE = (b"GET", b"HEAD", b"OPTIONS")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)
NO_ROOM = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Connection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
)
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
NOBODY_THERE = (errno.EAGAIN, errno.ECONNABORTED)


class Connection(TConn):  # type: ignore[misc]
    """What the main loop knows of a connection."""

    sock: PacedSocket

    def __init__(self, worker: "Worker", sock: PacedSocket, client: Any, server: Any) -> None:
        """Nothing has come yet."""
        super().__init__(worker.cfg, sock, client, server)
        self.parser = http.get_parser(worker.cfg, sock, client)
        self.initialized = self.data_ready = True  # a thread has nothing to wait for
        self.arrival = Arrival()
        self.is_arriving = False
        self.lane = TRANSFERS
        self.room_bytes = 0  # reserved for the body
        self.deadline = 0.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker class of ``gunicorn.conf.py``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As its master makes it, before the fork."""
        super().__init__(*args, **kwargs)
        # Those that no thread has, the longest in their state first.
        self.waiting: dict[Connection, None] = {}
        self.room = Room(ROOM_BYTES)
        self.body_room = Room(ROOM_BYTES)  # its own: slow readers must not keep small bodies out
        self.lanes: dict[str, ThreadPoolExecutor] = {}
        self._next_look = 0.0

    def init_process(self) -> None:
        """In the process of the worker; returns when that ends."""
        self.lanes = {name: ThreadPoolExecutor(threads) for name, threads in LANES.items()}
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    # A connection comes, and a request on it ---------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; if there are too many, the one that has done nothing the longest."""
        if self.cfg.is_ssl:  # the main loop reads plain bytes only
            super().accept(listener)
            return
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in FULL and self._close_oldest():
                return
            if error.errno in NOBODY_THERE:
                return
            raise
        pace = Pace(bytes_per_second=conf.min_bytes_per_second, stall_seconds=conf.stall_seconds)
        self.nr_conns += 1
        sock = PacedSocket.take_over(accepted, pace, self.room)
        connection = Connection(self, sock, client, listener.getsockname())
        self._await_request(connection, seconds=HEAD_SECONDS)
        if self.nr_conns >= self.worker_connections:
            self._close_oldest()

    def _await_request(self, connection: Connection, *, seconds: float) -> None:
        already = connection.parser.unreader.take_buffered()
        connection.arrival = Arrival(already)
        connection.is_arriving = True
        seconds = HEAD_SECONDS if already else seconds
        self._watch(connection, EVENT_READ, self._on_arrival, seconds)
        if already:
            self._guarded(connection, self._go_on)

    def _on_arrival(self, connection: Connection) -> None:
        arrival = connection.arrival
        data = connection.sock.recv(RECEIVE_BYTES)
        if not data:
            self._close(connection)
            return
        if not arrival.data:
            connection.deadline = time.monotonic() + HEAD_SECONDS
        had_head = arrival.has_head
        arrival.add(data)
        if had_head:
            connection.deadline = connection.sock.pace.moved(len(data))
        self._go_on(connection, is_new=arrival.has_head and not had_head)

    def _go_on(self, connection: Connection, *, is_new: bool = True) -> None:
        """Decide what is to be done with what has come."""
        arrival = connection.arrival
        if arrival.is_too_long:
            self._refuse(connection, TOO_LONG)
        elif arrival.has_head and (not arrival.missing_bytes or not self._is_kept_here(connection)):
            self._serve(connection)
        elif arrival.has_head and not connection.room_bytes and not self._find_room(connection):
            self._refuse(connection, NO_ROOM)
        elif arrival.has_head and is_new:
            connection.deadline = connection.sock.pace.begin()
            if arrival.take_expectation():
                connection.sock.send(CONTINUE)

    def _is_kept_here(self, connection: Connection) -> bool:
        """
        Whether the body is kept here until it is whole; else the thread receives it. An upload
        never is: its caller is known, and its turn is taken, before it is received.
        """
        arrival = connection.arrival
        return arrival.target != UPLOAD and arrival.body_bytes <= BODY_BYTES

    def _find_room(self, connection: Connection) -> bool:
        """
        Reserve room for the body, if need be that of the bodies that have been on their way the
        longest: clients that stall must not make a thread wait for all who come after them.
        """
        size = connection.arrival.body_bytes
        while not self.body_room.take(size):
            oldest = next((each for each in self.waiting if each.room_bytes), None)
            if oldest is None:
                return False
            self.log.info("Too many bodies: closing %s", oldest.client)
            self._close(oldest)
        connection.room_bytes = size
        return True

    def _serve(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.is_arriving = False
        connection.parser.unreader.unread(bytes(connection.arrival.data))
        connection.lane = lane(*connection.arrival.target)
        connection.arrival = Arrival()
        self.enqueue_req(connection)

    def enqueue_req(self, conn: Any) -> None:
        """Give the request to the threads of its lane."""
        pool: ThreadPoolExecutor = self.lanes.get(getattr(conn, "lane", "")) or self.tpool
        future = pool.submit(self.handle, conn)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )

    # A thread has answered ---------------------------------------------------------------------

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """A body that nobody has read is not waited for: its client must connect again."""
        deadline = time.monotonic() + DRAIN_SECONDS
        return keepalive and conn.parser.finish_body(deadline=deadline, max_bytes=BODY_BYTES)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """In the main loop, when the thread is free again."""
        if not isinstance(conn, Connection):
            super().finish_request(conn, fs)
            return
        self._give_back(conn)
        is_kept = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if conn.sock.fileno() < 0:  # the thread has closed it, after an error
            self._close(conn)
        elif conn.sock.tail:
            send = partial(self._on_writable, is_kept=is_kept)
            self._watch(conn, EVENT_WRITE, send, conn.sock.pace.begin() - time.monotonic())
        else:
            self._after_answer(conn, is_kept=is_kept)

    def _on_writable(self, connection: Connection, *, is_kept: bool) -> None:
        connection.deadline = connection.sock.pace.moved(connection.sock.send_some())
        if not connection.sock.tail:
            self._unwatch(connection)
            self._after_answer(connection, is_kept=is_kept)

    def _after_answer(self, connection: Connection, *, is_kept: bool) -> None:
        if is_kept:
            self._await_request(connection, seconds=self.cfg.keepalive)
        else:
            self._say_goodbye(connection)

    # The end of a connection -------------------------------------------------------------------

    def _say_goodbye(self, connection: Connection) -> None:
        """
        Close our side, and take what the client still sends until it has seen the answer.

        To close at once would reset the connection, and the client might lose the answer.
        """
        connection.is_arriving = False
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
        else:
            self._watch(connection, EVENT_READ, self._on_leftover, CLOSING_SECONDS)

    def _on_leftover(self, connection: Connection) -> None:
        if not connection.sock.recv(RECEIVE_BYTES):
            self._close(connection)

    def _refuse(self, connection: Connection, answer: bytes) -> None:
        """Answer in the place of the application, which has not seen the request."""
        self._unwatch(connection)
        self.log.info("%s for %s", answer.split(b"\r\n")[0].decode(), connection.client)
        with suppress(OSError):
            connection.sock.send(answer)
        self._say_goodbye(connection)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        self._give_back(connection)
        connection.sock.forget_tail()
        self.nr_conns -= 1
        connection.close()

    def _close_oldest(self) -> bool:
        """Make room for a new connection. :returns: whether there was one to close."""
        for connection in self.waiting:
            if not connection.sock.tail:
                self.log.info("Too many connections: closing %s", connection.client)
                self._close(connection)
                return True
        return False

    def _give_back(self, connection: Connection) -> None:
        self.body_room.give(connection.room_bytes)
        connection.room_bytes = 0

    # Deadlines ---------------------------------------------------------------------------------

    def murder_keepalived(self, force: bool = False) -> None:
        """End what is over; the main loop calls this after each event, and at its end for all."""
        super().murder_keepalived(force)
        now = time.monotonic()
        if now < self._next_look and not force:
            return
        self._next_look = now + 0.5
        for connection in list(self.waiting):
            if force:
                self._close(connection)
            elif connection.deadline <= now:
                self._expire(connection)

    def _expire(self, connection: Connection) -> None:
        if connection.sock.tail or connection.arrival.has_head:
            connection.sock.drop()
        if connection.is_arriving and connection.arrival.data:
            self._guarded(connection, partial(self._refuse, answer=TIMEOUT))
        else:
            self._close(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """A stop: no more requests are waited for."""
        super()._cap_keepalive(deadline)
        for connection in self.waiting:
            if connection.is_arriving:
                connection.deadline = min(connection.deadline, deadline)

    # The selector ------------------------------------------------------------------------------

    def _watch(
        self, connection: Connection, event: int, act: Callable[[Connection], None], seconds: float
    ) -> None:
        """Until ``_unwatch``, or for so long, wait for the client, and act when it moves."""
        connection.sock.setblocking(False)
        connection.deadline = time.monotonic() + seconds
        self.waiting[connection] = None
        self.poller.register(connection.sock, event, lambda _: self._guarded(connection, act))

    def _unwatch(self, connection: Connection) -> None:
        if connection in self.waiting:
            del self.waiting[connection]
            self.poller.unregister(connection.sock)

    def _guarded(self, connection: Connection, act: Callable[[Connection], None]) -> None:
        """A client that goes away ends its own connection only."""
        if connection not in self.waiting:
            return  # closed by another event of the same moment
        try:
            act(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)


def lane(method: bytes, path: bytes) -> str:
    """Which threads serve a request; those of gunicorn serve what has no lane."""
    if path == b"/health":
        return "health"
    if path.startswith((b"/api/v1/backup", b"/api/v1/restore")):
        return TRANSFERS
    if path.startswith(b"/api/v1/") and method not in SAFE:
        return "changes"
    return "pages"
