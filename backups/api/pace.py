"""
How long a transfer may wait for its client.

A client that has stopped, and one that sends or takes a byte now and then, both occupy a thread. So
we pay for waiting from an account of seconds. It starts full, each byte that moves pays some back,
and it never holds more than at the start. A client that is faster than the rate is never dropped,
however long it takes. One that has stopped is dropped once the account is empty, and a slow one
somewhat later. Time that the server itself needs costs nothing.
"""

import errno
import time


class TooSlowError(ConnectionResetError):
    """The client was too slow, so its transfer ended. A server treats it as a lost connection."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ECONNRESET, message)


class Pace:
    """The account of one transfer. The time is ``time.monotonic()``."""

    def __init__(self, *, bytes_per_second: float, stall_seconds: float) -> None:
        """
        Starts with a full account.

        :param bytes_per_second: a client that is as fast as this is never dropped.
        :param stall_seconds: the most that the account holds: how long nothing may move.
        """
        self.bytes_per_second = bytes_per_second
        self.stall_seconds = stall_seconds
        self._left = stall_seconds
        self._waits_since = 0.0

    def begin(self) -> float:
        """Start to wait for the client. :returns: the deadline."""
        self._waits_since = time.monotonic()
        return self.deadline

    @property
    def deadline(self) -> float:
        """When the account will be empty if nothing moves."""
        return self._waits_since + self._left

    def moved(self, count: int) -> float:
        """So many bytes have moved since the wait began. :returns: the new deadline."""
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
        """How long the client may take for so many bytes, in all."""
        return self._left + count / self.bytes_per_second
