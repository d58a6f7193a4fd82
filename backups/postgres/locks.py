"""
Locks and turns: advisory locks of the control database, which end with their connection.

Each is held by a connection of its own, since a session can take the same lock twice.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from backups.exceptions import BackupError, BusyError
from backups.postgres.control import Control
from backups.postgres.server import Connection, explained, is_over
from backups.store import PassedOn, Snapshot

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds: a waiting query would keep the server from vacuum


def key_of(name: str) -> int:
    """The number of a lock: 64 bits of a hash, signed."""
    digest = hashlib.sha256(f"backups {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def try_lock(connection: Connection, name: str) -> bool:
    """Take a lock for as long as this connection lives. Never waits."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key_of(name)]).fetchone()
    return bool(row and row[0])


@contextmanager
def named_lock(control: Control, name: str, *, wait: bool = False) -> Iterator[Callable[[], bool]]:
    """
    Hold a lock of this name for the block. Its value says whether it is held still: with the
    session, e.g. if the server is restarted, the lock ends too.

    :raises BusyError: somebody holds it, and ``wait`` is false.
    """
    connection = control.open(name=f"backups lock: {name}")
    try:
        with explained(f"the lock {name!r}"):
            pause = FIRST_PAUSE
            while not try_lock(connection, name):
                if not wait:
                    raise BusyError(f"Another process is at work: it holds the lock {name!r}.")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        yield lambda: not is_over(connection)
    finally:
        connection.close()


class Turn:
    """One of a number of turns, held until it is closed, or its process ends."""

    def __init__(
        self, control: Control, kind: str, *, at_once: int, refused: Callable[[], BackupError]
    ) -> None:
        """
        Take it; never wait.

        :param kind: whose turns these are.
        :param refused: makes the error to raise if none is free.
        """
        self._connection = control.open(name=f"backups turn: {kind}")
        try:
            with explained(f"a turn for {kind}"):
                if not any(
                    try_lock(self._connection, f"{kind} {number}") for number in range(at_once)
                ):
                    raise refused()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let another have it. May be called more than once."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SnapshotInTurn(PassedOn):
    """A snapshot that ends its turn when it is closed."""

    def __init__(self, snapshot: Snapshot, turn: Turn) -> None:
        super().__init__(snapshot)
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._snapshot)

    def close(self) -> None:
        try:
            self._snapshot.close()
        finally:
            self._turn.close()

    def abandon(self) -> None:
        self.close()
