"""
The server, as the site reaches it: with the site's own role, and the settings in DATABASES.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from backups.exceptions import BackupError, DatabaseServerError, NotEnoughSpaceError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10
# So that a machine that vanished does not keep its locks for hours: a minute, and three more tries.
KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 20, "keepalives_count": 3}
FULL = ("53100",)  # disk_full
NO_SUCH_DATABASE = "3D000"
MAINTENANCE = "postgres"  # the database that is there on every server, to create others from

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Server:
    """
    One server, and the role that the site connects with.

    :param parameters: those of libpq, without ``dbname``.
    """

    parameters: Mapping[str, Any]

    def connect(self, database: str, *, name: str = "backups", seconds: float = 0.0) -> Connection:
        """
        A new connection, in autocommit mode.

        :param name: what it is called in ``pg_stat_activity``.
        :param seconds: how long a statement may take; 0 for ever.
        :raises psycopg.OperationalError: there is no such database, or no server.
        """
        defaults = {"connect_timeout": CONNECT_SECONDS, **KEEPALIVES}
        connection = psycopg.connect(
            **{**defaults, **self.parameters, "application_name": name[:63]},
            dbname=database,
            autocommit=True,
            prepare_threshold=None,
        )
        try:
            # Whatever the site's own options say: what is found must not depend on them.
            connection.execute(
                "SELECT set_config('statement_timeout', %s, false),"
                " set_config('lock_timeout', '0', false),"
                " set_config('idle_in_transaction_session_timeout', '0', false),"
                " set_config('idle_session_timeout', '0', false),"
                " set_config('default_transaction_read_only', 'off', false)",
                [str(int(seconds * 1000))],
            )
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def session(
        self, database: str, *, name: str = "backups", seconds: float = 0.0
    ) -> Iterator[Connection]:
        """For a block with a connection of its own. Errors of the server are explained."""
        with explained(f"the database {database}"):
            connection = self.connect(database, name=name, seconds=seconds)
            try:
                yield connection
            finally:
                connection.close()

    def conninfo(self, database: str) -> str:
        """For a program of PostgreSQL, without the password: other users see command lines."""
        open_ones = {name: each for name, each in self.parameters.items() if name != "password"}
        return make_conninfo("", **open_ones, dbname=database, application_name="backups")

    def secrets(self) -> dict[str, str]:
        """The environment variables that go with it."""
        password = self.parameters.get("password")
        return {"PGPASSWORD": str(password)} if password else {}

    @property
    def address(self) -> str:
        """Where it is, for a message: ``db.example.org:5432``."""
        host = self.parameters.get("host") or "the local socket"
        port = self.parameters.get("port")
        return f"{host}:{port}" if port else str(host)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """
    Turn an error of the server into one of ours.

    :param what: what was asked for, e.g. ``the database tasks``.
    :raises NotEnoughSpaceError: the server's disk is full.
    :raises DatabaseServerError: any other.
    """
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, what) from error


def explain(error: psycopg.Error, what: str) -> BackupError:
    """The error to raise in its place."""
    words = sentence(error)
    if error.sqlstate in FULL:
        return NotEnoughSpaceError(
            f"The disk of the database server is full, at {what}: {words}.",
            needed_bytes=0,
            free_bytes=0,
            hint="Free some space on that server's disk, then try again.",
        )
    return DatabaseServerError(f"The database server refuses {what}: {words}.")


def sentence(error: psycopg.Error) -> str:
    """What the server says, in one line without a full stop."""
    told = error.diag.message_primary or str(error) or type(error).__name__
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    lines = [line.strip() for line in told.strip().splitlines() if line.strip()]
    return f"{' '.join(lines).rstrip('.')}{detail.rstrip('.')}"


def is_missing(error: psycopg.Error) -> bool:
    """Whether there is no such database. An error at connecting has no code of its own."""
    return error.sqlstate == NO_SUCH_DATABASE or (
        isinstance(error, psycopg.OperationalError) and "does not exist" in str(error)
    )


def quoted(name: str) -> sql.Identifier:
    """A name in a statement."""
    return sql.Identifier(name)
