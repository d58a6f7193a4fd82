"""
Locks and turns: advisory locks of the control database, which end with their connection.

Each is held by a connection of its own, since a session can take the same lock twice. A server that
is restarted ends all of them, and their processes go on: each takes its lock again as soon as it
can. Until then nobody may take a free lock for the end of a process.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

import psycopg

from backups.exceptions import BackupError, BusyError
from backups.postgres.control import Control
from backups.postgres.refusals import explained
from backups.postgres.server import Connection, is_over
from backups.store import PassedOn, Snapshot

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds: a waiting query would keep the server from vacuum
LOOK_SECONDS = 0.5  # between two looks whether the server has ended a lock
AGAIN_SECONDS = 30.0  # plenty for all processes to have their locks again
# When the server began, or began again after the crash of one of its processes.
BEGAN = """
SELECT extract(epoch FROM clock_timestamp() - greatest(pg_postmaster_start_time(), stats_reset))
FROM pg_stat_bgwriter
"""


def key_of(name: str) -> int:
    """The number of a lock: 64 bits of a hash, signed."""
    digest = hashlib.sha256(f"backups {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def try_lock(connection: Connection, name: str) -> bool:
    """Take a lock for as long as this connection lives. Never waits."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key_of(name)]).fetchone()
    return bool(row and row[0])


def let_go(connection: Connection) -> None:
    """
    Close a connection that has locks. They are free when this returns: of a connection that is only
    closed, the server hears a moment later.
    """
    with suppress(psycopg.Error):
        if not is_over(connection):
            connection.execute("SELECT pg_advisory_unlock_all()")
    connection.close()


@contextmanager
def named_lock(control: Control, name: str, *, wait: bool = False) -> Iterator[Callable[[], bool]]:
    """
    Hold a lock of this name for the block. Its value says whether it is held now: with the session,
    e.g. if the server is restarted, the lock ends too. Then it is taken again, unless another
    process was faster.

    :raises BusyError: somebody holds it, and ``wait`` is false.
    """
    connection = _open(control, name)
    try:
        with explained(f"the lock {name!r}"):
            pause = FIRST_PAUSE
            while not try_lock(connection, name):
                if not wait:
                    raise BusyError(f"Another process is at work: it holds the lock {name!r}.")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
    except BaseException:
        connection.close()
        raise
    lock = _Lock(control, name, connection)
    try:
        yield lock.is_held
    finally:
        lock.release()


def may_have_been_lost(control: Control) -> bool:
    """Whether the server began so lately that processes at work may not have their locks again."""
    with control.session() as connection:
        (seconds,) = connection.execute(BEGAN).fetchone() or (0,)
    return float(seconds) < AGAIN_SECONDS


class _Lock:
    """A lock that is held, and taken again if the server ends it."""

    def __init__(self, control: Control, name: str, connection: Connection) -> None:
        self._control, self._name, self._connection = control, name, connection
        self._guard, self._is_released = threading.Lock(), threading.Event()
        with suppress(RuntimeError):  # the system refuses a thread: held until the server ends it
            threading.Thread(target=self._keep, name=f"backups lock {name}", daemon=True).start()

    def is_held(self) -> bool:
        return not is_over(self._connection)

    def release(self) -> None:
        with self._guard:
            self._is_released.set()
            let_go(self._connection)

    def _keep(self) -> None:
        while not self._is_released.wait(LOOK_SECONDS):
            if not self.is_held():
                with suppress(BackupError, psycopg.Error):  # the server is not back yet
                    self._take_again()

    def _take_again(self) -> None:
        self._connection.close()
        connection = _open(self._control, self._name)
        is_taken = False
        try:
            if try_lock(connection, self._name):
                with self._guard:
                    if not self._is_released.is_set():
                        self._connection, is_taken = connection, True
        finally:
            if not is_taken:
                connection.close()
        if is_taken:
            logger.info("the lock %r is held again: the server had ended it", self._name)


def _open(control: Control, name: str) -> Connection:
    return control.open(name=f"backups lock: {name}")


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
        let_go(self._connection)

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
