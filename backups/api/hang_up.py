"""
Notice that a client has hung up, to stop the check of its upload.

WSGI tells an application nothing about its client, but gunicorn gives it the socket. There a client
that has left looks like this:

- A reset, or both directions closed: it has left.
- The end of what it sends (FIN). A client that was killed sends that, and so does a proxy whose
  client has left. But an HTTP/1.1 client may also close that direction and wait for the answer.
  nginx treats all of them as gone (``proxy_ignore_client_abort``). We send "100 Continue", which
  every HTTP/1.1 client skips; the system of a client that has left replies with a reset. HTTP/1.0,
  which nginx speaks to us, has no such answer, and TLS has no half-closed connections: with these,
  the client has left.
- Nothing, if its machine or its line failed: the check continues to its end.

Under ASGI, and under servers that don't give us the socket, the check continues to its end or its
time limit. BACKUPS_UPLOADS_AT_ONCE limits how many run. (Under ASGI, Django notices a hang-up, but
can't tell a view that runs in a thread.)

Sources: RFC 9110, 15.2 and 15.2.1; tcp(7); poll(2), POLLRDHUP.
"""

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest

from backups.exceptions import UploadAbandonedError

ARE_YOU_THERE = b"HTTP/1.1 100 Continue\r\n\r\n"
ENDED = getattr(select, "POLLRDHUP", 0)  # 0 where the system can't tell, i.e. not on Linux
GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


def watch(request: HttpRequest) -> Callable[[], None] | None:
    """
    A function to call now and then while this request is handled, after its body has been read.

    It raises ``UploadAbandonedError`` once the client has left. None if that can't be noticed.
    """
    if (line := _line(request)) is None:
        return None

    def check() -> None:
        if line.has_left():
            raise UploadAbandonedError(
                "The client hung up while the file was being checked, so the check was stopped."
            )

    return check


def _line(request: HttpRequest) -> "Line | None":
    connection = request.META.get("gunicorn.socket")
    if not isinstance(connection, socket.socket) or not ENDED:
        return None
    may_ask = request.META.get("SERVER_PROTOCOL") == "HTTP/1.1"
    return Line(connection, may_ask=may_ask and not isinstance(connection, ssl.SSLSocket))


class Line:
    """The connection to a client that waits for an answer."""

    def __init__(self, connection: socket.socket, *, may_ask: bool) -> None:
        """``may_ask``: whether the client skips a "100 Continue"."""
        self._connection = connection
        self._may_ask = may_ask
        self._is_asked = False

    def has_left(self) -> bool:
        """Whether the client has hung up. Never waits."""
        events = self._events()
        if events & GONE:
            return True
        if not events & ENDED:
            return False
        if not self._may_ask:
            return True
        if not self._is_asked:
            self._is_asked = True
            with suppress(OSError):  # the next look sees the outcome
                self._connection.send(ARE_YOU_THERE, socket.MSG_DONTWAIT)
        return False

    def _events(self) -> int:
        poll = select.poll()
        poll.register(self._connection, ENDED)
        return next((events for _, events in poll.poll(0)), 0)
