"""
The writing end of a pipe, and the line on which its reader confirms or hangs up.

While the reader is fast, pages are lent to the pipe and not copied (sendfile(2)): that halves
the work. A lent page must not change until the reader has read it.
"""

import fcntl
import os
import select
import sys
import termios
import time
from collections.abc import Callable

from backups.sqlite.snapshots.page_reader import Piece

ANSWER_BYTES = 512  # the length of the line that is sent first
PIPE_BYTES = 1024 * 1024  # 1 MiB: the most that Linux gives an ordinary user
COPY_BYTES = 64 * 1024  # at a time, to a slow reader
QUICK_SECONDS = 0.1  # a reader that lets us wait longer is slow
QUICK_BYTES = 4 * 1024 * 1024  # 4 MiB: after reading so many without a pause it is fast again


class ReaderGoneError(Exception):
    """The reader, or its whole process, has hung up."""


class ReaderStalledError(Exception):
    """The reader has read nothing for too long."""


class Outlet:
    """Sends bytes through the pipe, and watches the reader."""

    def __init__(self, pipe: int, line: int, *, stall_seconds: float) -> None:
        """
        Does not count what is in the pipe already.

        :param pipe: for writing; it is set to non-blocking.
        :param line: for reading; a byte confirms that everything was read, its end is a hang-up.
        :param stall_seconds: how long the reader may read nothing.
        """
        self.sent = 0  # bytes written into the pipe
        self.is_confirmed = False
        self._pipe, self._line = pipe, line
        self.stall_seconds = stall_seconds
        self._slow_at = 0  # how many had been sent when the reader was last seen to be slow
        self._lent_until = 0  # bytes before this offset may be lent
        self._taken, self._moved_at = 0, time.monotonic()
        self._buffer = memoryview(bytearray(COPY_BYTES))
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._poll.register(pipe, select.POLLOUT)
        os.set_blocking(pipe, False)

    @property
    def has_lent(self) -> bool:
        """Whether the pipe may still have lent bytes, which must not change in their file."""
        return self._count_taken() < self._lent_until

    def put(self, piece: Callable[[int], Piece]) -> bool:
        """
        Write as much as fits, without waiting. Returns False if the pipe is full.

        :param piece: returns where the bytes from an offset on are.
        :raises OSError: they can't be read.
        :raises ReaderGoneError: it has closed the pipe.
        """
        is_lent = self.sent - self._slow_at >= QUICK_BYTES
        try:
            count = self._lend(*piece(self.sent)) if is_lent else self._copy(*piece(self.sent))
        except BlockingIOError:
            return False
        except BrokenPipeError as error:
            raise ReaderGoneError from error
        if not count:
            raise OSError("a file became shorter while it was read")
        self.sent += count
        self._moved_at = time.monotonic()
        if is_lent:
            self._lent_until = self.sent
        return True

    def wait(self, seconds: float, *, for_room: bool = True) -> None:
        """
        Wait until the pipe has room, the reader confirms or hangs up, or the time is over.

        :raises ReaderGoneError: it has hung up.
        :raises ReaderStalledError: it has read nothing for ``stall_seconds``.
        """
        if self.is_confirmed:  # it may hang up now
            return
        self._poll.modify(self._pipe, select.POLLOUT if for_room else 0)
        events = dict(self._poll.poll(seconds * 1000))
        # A reader that has closed the pipe has confirmed before that, or never will.
        if self._line in events or events.get(self._pipe, 0) & select.POLLERR:
            self._listen()
        self._watch(has_room=self._pipe in events)

    def _lend(self, file: int, position: int, length: int) -> int:
        return os.sendfile(self._pipe, file, position, length)

    def _copy(self, file: int, position: int, length: int) -> int:
        count = os.preadv(file, [self._buffer[:length]], position)
        return os.write(self._pipe, self._buffer[:count]) if count else 0

    def _listen(self) -> None:
        if not os.read(self._line, 1):
            raise ReaderGoneError
        self.is_confirmed = True

    def _watch(self, *, has_room: bool) -> None:
        now, taken = time.monotonic(), self._count_taken()
        if has_room or taken > self._taken:
            self._taken, self._moved_at = taken, now
        if now - self._moved_at > QUICK_SECONDS:
            self._slow_at = self.sent
        if now - self._moved_at > self.stall_seconds:
            raise ReaderStalledError

    def _count_taken(self) -> int:
        """How many bytes the reader has read from the pipe."""
        unread = fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4))
        return self.sent - int.from_bytes(unread, sys.byteorder)
