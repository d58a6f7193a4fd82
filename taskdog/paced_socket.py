"""
A connection whose client can't keep a thread waiting: too slow, and it is dropped.

``sendall`` returns as soon as the rest of an answer fits into memory, and the main loop sends that
rest: a client that takes an answer slowly occupies no thread. A longer one, in several pieces, is
written at the client's pace, when so much of it waits already.
"""

import logging
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from math import inf

from backups.api.pace import Pace, TooSlowError

PIECE_BYTES = 256 * 1024  # so much is offered to the system at once
TAIL_BYTES = 4 * 1024**2  # of one answer in pieces: a file of our pages, a small snapshot

logger = logging.getLogger(__name__)


class Room:
    """How many bytes all connections of a process together may keep in memory."""

    def __init__(self, capacity: int) -> None:
        """:param capacity: in bytes."""
        self._left = capacity
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Reserve so many bytes. :returns: False, and takes nothing, if there are fewer."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give(self, count: int) -> None:
        """Hand back what was taken."""
        with self._lock:
            self._left += count


class PacedSocket(socket.socket):
    """An accepted connection, of which each wait for the client has an end."""

    pace: Pace
    room: Room
    tail: deque[memoryview]  # what is still to be sent
    is_dropped: bool
    _kept: deque[int]  # how many bytes of the room each of these has

    @classmethod
    def take_over(cls, accepted: socket.socket, pace: Pace, room: Room) -> "PacedSocket":
        """The same connection. The given object is used up."""
        taken = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        taken.pace, taken.room, taken.is_dropped = pace, room, False
        taken.tail, taken._kept = deque(), deque()
        return taken

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """:raises TooSlowError: the client has sent too little for too long."""
        self.pace.begin()
        try:
            received = super().recv(bufsize, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait(select.POLLIN)
            received = super().recv(bufsize, flags | socket.MSG_DONTWAIT)
        self.pace.moved(len(received))
        return received

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        """
        Send it, or keep the last of it in ``tail``, in order.

        :raises TooSlowError: the client has taken too little for too long.
        """
        self.tail.append(memoryview(data))
        self._kept.append(0)
        self.send_some()
        if not self.tail:
            return
        is_short = len(self.tail) == 1 or sum(self._kept) + len(data) <= TAIL_BYTES
        if is_short and self.room.take(len(data)):
            self._kept[-1] = len(data)
        else:
            self._send_tail()

    def send_some(self) -> int:
        """Send of the tail what the system takes now, without waiting. :returns: how much."""
        total = 0
        with suppress(BlockingIOError):
            while self.tail:
                sent = super().send(self.tail[0][:PIECE_BYTES], socket.MSG_DONTWAIT)
                total += sent
                self.tail[0] = self.tail[0][sent:]
                if not self.tail[0]:
                    self.tail.popleft()
                    self.room.give(self._kept.popleft())
        return total

    def forget_tail(self) -> None:
        """It never will be sent."""
        self.tail.clear()
        self.room.give(sum(self._kept))
        self._kept.clear()

    def drop(self) -> None:
        """The client is too slow: say so in the log, once."""
        if self.is_dropped:
            return
        self.is_dropped = True
        logger.warning("%s was dropped: %s", self._peer(), self.pace)

    def _send_tail(self) -> None:
        """All that is left, at the client's pace."""
        try:
            while self.tail:
                self._wait(select.POLLOUT)
                self.pace.moved(self.send_some())
        finally:
            self.forget_tail()  # after an error

    def _wait(self, event: int) -> None:
        """Until the client moves. A socket's own time limit holds too, as ever."""
        timeout = self.gettimeout()
        if timeout == 0:
            raise BlockingIOError
        deadline = self.pace.begin()
        own = inf if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self, event)
        if poll.poll(max(0.0, min(deadline, own) - time.monotonic()) * 1000):
            return
        self.pace.moved(0)
        if own < deadline:
            raise TimeoutError("timed out")
        self.drop()
        raise TooSlowError(str(self.pace))

    def _peer(self) -> str:
        try:
            address = self.getpeername()
        except OSError:
            return "a client that has gone"
        return str(address[0]) if isinstance(address, tuple) else "a client of the local socket"
