"""The server, as the site reaches it: with the site's own role, and the settings in DATABASES."""

import os
import select
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from backups.exceptions import DatabaseServerError
from backups.postgres.refusals import explained

CONNECT_SECONDS = 10
# So that a machine that vanished does not keep its locks for hours: a minute, and three more tries.
KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 20, "keepalives_count": 3}
NO_ANSWER_MILLISECONDS = 120_000  # of a machine that is gone before it has what it is sent
MAINTENANCE = "postgres"  # every server has this database; others are created from it

SETTINGS = {
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "'read committed'",  # to see what whoever had a lock has done
    # The server's side of the same: it is the one that has to miss a machine.
    **{f"tcp_{name}": str(value) for name, value in KEEPALIVES.items()},
    "tcp_user_timeout": str(NO_ANSWER_MILLISECONDS),
}
# For a program, whatever is set for the role: a dump with texts in another form can't be judged.
OPTIONS = "-c standard_conforming_strings=on -c default_transaction_read_only=off"
LATER = {"idle_session_timeout": 140_000, "transaction_timeout": 170_000}  # since which release

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Server:
    """
    One server, and the role that the site connects with.

    :param parameters: those of libpq, without ``dbname``.
    :param template: the database that new ones begin with.
    """

    parameters: Mapping[str, Any]
    template: str = "template0"

    def connect(self, database: str, *, name: str = "backups", seconds: float = 0.0) -> Connection:
        """
        A new connection, in autocommit mode.

        :param name: what it is called in ``pg_stat_activity``.
        :param seconds: how long a statement may take; 0 for ever.
        :raises psycopg.OperationalError: there is no such database, or no server.
        :raises DatabaseServerError: a pooler is in between.
        """
        defaults = {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": NO_ANSWER_MILLISECONDS,
            **KEEPALIVES,
        }
        connection = psycopg.connect(
            **{**defaults, **self.parameters, "application_name": name[:63]},
            dbname=database,
            client_encoding="UTF8",  # a database in SQL_ASCII would hand out bytes
            autocommit=True,
            prepare_threshold=None,
        )
        try:
            check_direct(connection)  # first: what is set next would stay in a pooler's session
            version = connection.info.server_version
            # Whatever the site's own options and the server's say.
            words = "".join(f"SET {name} = {value};" for name, value in SETTINGS.items())
            words += "".join(
                f"SET {name} = 0;" for name, since in LATER.items() if version >= since
            )
            connection.execute(f"{words} SET statement_timeout = {int(seconds * 1000)}".encode())
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

    def maintenance(self, live: str) -> Connection:
        """
        A connection to another database than the live one, if it may be.

        :raises psycopg.OperationalError: the server can't be reached.
        """
        try:
            return self.connect(MAINTENANCE)
        except psycopg.errors.ConnectionTimeout:
            raise
        except psycopg.OperationalError:  # e.g. this role may not connect to it
            return self.connect(live)

    def has(self, database: str, *, live: str) -> bool:
        """
        Whether there is such a database. This asks in another database: if a connection to this one
        fails, the error has no code, and its words may be in any language.

        :raises psycopg.OperationalError: the server can't be reached.
        """
        with closing(self.maintenance(live)) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            return connection.execute(query, [database]).fetchone() is not None

    def environment(self, database: str) -> dict[str, str]:
        """
        How a program of PostgreSQL connects, as libpq's environment variables. Other users can see
        a command line, but not these.

        :raises DatabaseServerError: there is a service file, and the server can't be reached.
        """
        inherited = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        found = {**self.parameters, "dbname": database, "application_name": "backups"}
        if found.get("service") or inherited.pop("PGSERVICE", ""):
            found = self._without_service(database) | {"application_name": "backups"}
        options = found.get("options") or inherited.get("PGOPTIONS") or ""
        found["options"] = f"{options} {OPTIONS}".lstrip()
        known = {each.keyword.decode(): each.envvar for each in Conninfo.get_defaults()}
        return inherited | {
            variable.decode(): str(value)
            for name, value in found.items()
            if value is not None and (variable := known.get(name))
        }

    def _without_service(self, database: str) -> dict[str, Any]:
        """
        What libpq makes of a service file and of what is given beside it. To these variables a
        service file would be preferred, and that may name another database, or another role.
        """
        with self.session(database) as connection:
            found = {
                each.keyword.decode(): each.val.decode()
                for each in connection.pgconn.info
                if each.val
            }
        found.pop("service", None)
        return found

    @property
    def address(self) -> str:
        """Where it is, for a message: ``db.example.org:5432``."""
        host = self.parameters.get("host") or "the local socket"
        port = self.parameters.get("port")
        return f"{host}:{port}" if port else str(host)


def check_direct(connection: Connection) -> None:
    """
    Check that this is a session of the server itself.

    :raises DatabaseServerError: a pooler is in between, which gives a session to one after another.
    """
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    if pid != connection.info.backend_pid:
        raise DatabaseServerError(
            "A pooler such as pgbouncer is between this site and the database server, and backups"
            " need sessions of their own.",
            hint="Name the server itself in BACKUPS_POSTGRES_CONNECTION, e.g."
            ' {"host": "db.example.org", "port": "5432"}.',
        )


def is_over(connection: Connection) -> bool:
    """
    Whether the server has ended the session, e.g. because it was restarted. Only for a session
    that has sent no query since: then the only thing that can be read is its end.
    """
    if connection.closed:
        return True
    look = select.poll()  # select.select takes no file with a number above 1023
    try:
        look.register(connection.fileno(), select.POLLIN)
        return bool(look.poll(0))
    except (OSError, ValueError, psycopg.Error):
        return True


def quoted(name: str) -> sql.Identifier:
    """A name in a statement."""
    return sql.Identifier(name)
