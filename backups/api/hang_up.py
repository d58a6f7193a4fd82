"""
Whether the client of a request is still there: nobody waits for the check of its upload if not.

WSGI says nothing to an application about its client, but gunicorn lets it have the socket. There a
client that is gone looks like this:

- A reset, or both directions closed: it has left.
- The end of what it sends (FIN). A client that was killed sends that, and so does a proxy whose own
  client has left, but HTTP/1.1 also allows one that has sent its request to close that half and
  wait for the answer. nginx takes all of them for gone (``proxy_ignore_client_abort``). Here they
  are told apart by a first answer, "100 Continue", which every HTTP/1.1 client reads past: the
  system of one that is gone answers it with a reset. HTTP/1.0 knows no such answer (nginx
  speaks that to us), nor does TLS know half-closed connections: there it has left.
- Nothing, if its machine or its line failed: the check goes on to its end.

Under ASGI, and under servers that keep the socket to themselves, this is not known: the check goes
on to its end or its time limit, and BACKUPS_UPLOADS_AT_ONCE limits how many there are. (Django
hears of the hang-up under ASGI, but can't tell a view that runs in a thread.)

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
    What to call now and then while this request is at work, after its body was read.

    It raises ``UploadAbandonedError`` once the client has left. None where that can't be known.
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
        """``may_ask``: whether it understands a first answer that is not the last."""
        self._connection = connection
        self._may_ask = may_ask
        self._is_asked = False

    def has_left(self) -> bool:
        """Whether nobody is at the other end any more. Never waits."""
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
