"""
How long a transfer may wait for its client.

A client that has stopped, and one that sends or takes a byte now and then, look alike: both keep
what serves them. So waiting is paid for from an account of seconds. It begins full, each byte that
moves pays some back, and it never holds more than it did at first. A client that is faster than the
rate is never dropped, however long it takes; one that has stopped is dropped once the account is
empty, and a slower one somewhat later. What the server does itself costs nothing.
"""

import errno
import time


class TooSlowError(ConnectionResetError):
    """The client was too slow; the transfer is given up. A server takes it for a lost client."""

    def __init__(self, message: str) -> None:
        """:param message: who was too slow, and how slow that is."""
        super().__init__(errno.ECONNRESET, message)


class Pace:
    """The account of one transfer. The time is ``time.monotonic()``."""

    def __init__(self, *, bytes_per_second: float, stall_seconds: float) -> None:
        """
        Begins full.

        :param bytes_per_second: a client that moves as many is never dropped.
        :param stall_seconds: what the account holds: how long nothing at all may move.
        """
        self.bytes_per_second = bytes_per_second
        self.stall_seconds = stall_seconds
        self._left = stall_seconds
        self._waits_since = 0.0

    def begin(self) -> float:
        """From now on the client is waited for. :returns: when that must end."""
        self._waits_since = time.monotonic()
        return self.deadline

    @property
    def deadline(self) -> float:
        """When the account will be empty, if the wait goes on and nothing moves."""
        return self._waits_since + self._left

    def moved(self, count: int) -> float:
        """So many bytes were waited for, and moved. :returns: the new deadline."""
        now = time.monotonic()
        left = self._left - (now - self._waits_since) + count / self.bytes_per_second
        self._left = min(self.stall_seconds, left)
        self._waits_since = now
        return self.deadline

    def __str__(self) -> str:
        return (
            f"less than {self.bytes_per_second:g} bytes a second went through,"
            f" or nothing for {self.stall_seconds:g} seconds"
        )

    def seconds_for(self, count: int) -> float:
        """How long the client may take for so many bytes, all in all."""
        return self._left + count / self.bytes_per_second
