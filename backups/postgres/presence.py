"""
Presence: which processes of the site, on all its machines, use the live database.

Each holds a shared advisory lock on a session of the control database, for as long as it lives. A
process that applies a restore at its start holds the lock alone. A fork inherits the session with
its socket: the server takes it for present until the last of the family has ended.
"""

import atexit
import logging
import os
import socket
import time
from contextlib import suppress
from threading import RLock

import psycopg

from backups.exceptions import BackupError
from backups.postgres.control import Control
from backups.postgres.locks import key_of
from backups.postgres.refusals import explained
from backups.postgres.server import Connection, Server, is_over
from backups.processes.process_name import name_of

logger = logging.getLogger(__name__)

PRESENCE = key_of("presence")
MARK = "present: "  # what the name of such a session begins with
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5  # seconds
TELL_AFTER_SECONDS = 5.0
OTHERS = """
SELECT DISTINCT activity.pid, activity.application_name, activity.client_addr::text
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = %s
ORDER BY activity.pid
"""


class Presence:
    """This process's part in the presence at one live database."""

    def __init__(self, control: Control) -> None:
        """Joins nothing yet."""
        self._control = control
        self._connection: Connection | None = None
        self._pid = 0  # of the process that opened it
        self._guard = RLock()

    def join(self) -> None:
        """
        Be present. Waits while another process applies a restore. Does nothing if this process, or
        the one that it was forked from, is present already.

        :raises BackupError: the server can't be reached, or the control database not be made.
        """
        with self._guard:
            if self._connection is not None and not is_over(self._connection):
                return
            self._forget()
            connection = self._control.open(name=_name())
            try:
                with explained("the lock of presence"):
                    _wait(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._pid = connection, os.getpid()

    def regain(self) -> None:
        """
        Join again if the server has ended the session of a process that was present.

        :raises BackupError: as ``join``.
        """
        if self._connection is not None and is_over(self._connection):
            self.join()

    def try_alone(self) -> bool:
        """
        Become alone if nobody else is present. Never waits. If that fails, a process that was
        present still is.

        :raises BackupError: as ``join``.
        """
        with self._guard:
            if self._connection is not None and is_over(self._connection):
                self._forget()
            if self._connection is not None and self._is_inherited:
                return False  # the family is present with one session, which would not refuse
            connection = self._connection or self._control.open(name=_name())
            with explained("the lock of presence"):
                if _ask(connection, "pg_try_advisory_lock"):
                    self._connection, self._pid = connection, os.getpid()
                    return True
            if connection is not self._connection:
                connection.close()
            return False

    def share(self) -> None:
        """From alone to present, without a gap. :raises BackupError: as ``join``."""
        with self._guard:
            try:
                with explained("the lock of presence"):
                    if self._connection is None:
                        raise psycopg.OperationalError("the connection is gone")
                    _ask(self._connection, "pg_try_advisory_lock_shared")
                    _ask(self._connection, "pg_advisory_unlock")
            except BackupError:
                self._forget()
                self.join()

    def leave(self) -> None:
        """Be present no more."""
        with self._guard:
            self._forget()

    @property
    def is_held(self) -> bool:
        """Whether this process is present, as far as it knows."""
        connection = self._connection
        return connection is not None and not is_over(connection)

    def others(self) -> list[str]:
        """Who else is present, in words. :raises BackupError: the server can't be asked."""
        own = self._connection.info.backend_pid if self._connection is not None else 0
        with self._control.session() as connection:
            rows = connection.execute(OTHERS, [PRESENCE]).fetchall()
        return [_words(name, address) for pid, name, address in rows if pid != own]

    def everybody(self) -> list[str]:
        """Who is present, this process first if it is. :raises BackupError: as ``others``."""
        own = [_name().removeprefix(MARK)] if self.is_held else []
        return own + self.others()

    @property
    def _is_inherited(self) -> bool:
        return self._pid != os.getpid()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                if self._is_inherited:
                    _detach(connection)
                connection.close()


_presences: dict[tuple[str, str], Presence] = {}


def presence_at(server: Server, control: Control) -> Presence:
    """The one of this process for a live database."""
    key = (server.address, control.names.live)
    if key not in _presences:
        _presences[key] = Presence(control)
        atexit.register(_presences[key]._forget)  # without its guard: a fork may have it locked
    return _presences[key]


def _name() -> str:
    return f"{MARK}{name_of(os.getpid()) or 'python'} ({os.getpid()}) on {socket.gethostname()}"


def _words(name: str, address: str | None) -> str:
    """``gunicorn (4711) on web-2``; or what the server knows of a session of another role."""
    if name and name.startswith(MARK):
        return name.removeprefix(MARK)
    return f"a session from {address or 'the server itself'}"


def _wait(connection: Connection) -> None:
    began, pause, told = time.monotonic(), FIRST_PAUSE, TELL_AFTER_SECONDS
    while not _ask(connection, "pg_try_advisory_lock_shared"):
        if time.monotonic() - began >= told:
            logger.warning("waiting for a process that applies a restore to the database")
            told *= 2
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _ask(connection: Connection, function: str) -> bool:
    row = connection.execute(f"SELECT {function}(%s)".encode(), [PRESENCE]).fetchone()
    return bool(row and row[0])


def _detach(connection: Connection) -> None:
    """Let others go on with this socket: what closes the connection here does not reach it."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), connection.fileno(), inheritable=False)
