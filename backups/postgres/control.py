"""
The control database, beside the live one: the state and the receipts, which no restore changes.

ALTER DATABASE … RENAME changes a catalog that all databases share. So a restore and its receipt are
one transaction on a connection to this database: after a kill both have happened, or neither.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg import sql

from backups.exceptions import BackupNotSupportedError
from backups.postgres.names import Names
from backups.postgres.refusals import explained, sentence
from backups.postgres.server import Connection, Server, quoted

logger = logging.getLogger(__name__)

COMMENT = "State and receipts of django-restorable, for the database beside it"
NOTHING_MORE = sql.SQL("")
# UTF-8, whatever the site's own database has. Somebody may be connected to template1.
ANY_TEXT = sql.SQL("TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
SETUP_LOCK = 0x6261636B  # for the moment in which the tables are made
TABLES = """
CREATE SCHEMA IF NOT EXISTS backups;
CREATE TABLE IF NOT EXISTS backups.state (name text PRIMARY KEY, value jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS backups.record (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    value jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS record_by_kind ON backups.record (kind, id);
"""
FOREIGN_TABLES = """
SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname NOT IN ('backups', 'information_schema')
  AND nspname NOT LIKE 'pg\\_%' LIMIT 1
"""


class Control:
    """The control database of one live database."""

    def __init__(self, server: Server, names: Names) -> None:
        """Connects to nothing yet."""
        self.server, self.names = server, names

    @contextmanager
    def session(self, *, name: str = "backups") -> Iterator[Connection]:
        """
        A connection of its own for the block. The first one creates the database.

        :raises DatabaseServerError: the server can't be reached.
        :raises BackupNotSupportedError: the role may not create the database.
        """
        connection = self.open(name=name)
        try:
            with explained(f"the database {self.names.control}"):
                yield connection
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The same, in one transaction: it is committed when the block ends without an error."""
        with self.session() as connection, connection.transaction():
            yield connection

    def open(self, *, name: str = "backups") -> Connection:
        """A connection as of ``session``, without a block: the caller closes it."""
        with explained(f"the database {self.names.control}"):
            connection = self._connect(name) or self._create_and_connect(name)
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    @contextmanager
    def if_there(self) -> Iterator[Connection | None]:
        """For a block that only reads: no connection if there is no such database yet."""
        with explained(f"the database {self.names.control}"):
            connection = self._connect("backups")
            try:
                yield connection if connection is not None and _has_tables(connection) else None
            finally:
                if connection is not None:
                    connection.close()

    def create_database(self, name: str, rest: sql.Composable = NOTHING_MORE) -> None:
        """
        Create a database.

        :param rest: of the statement.
        :raises psycopg.Error: the server refuses.
        """
        statement = sql.SQL("CREATE DATABASE {} {}").format(quoted(name), rest)
        with closing(self.server.maintenance(self.names.live)) as connection:
            connection.execute(statement)

    def _connect(self, name: str) -> Connection | None:
        """None if there is no such database yet."""
        try:
            return self.server.connect(self.names.control, name=name)
        except psycopg.errors.ConnectionTimeout:
            raise  # another database of that server would not answer either
        except psycopg.OperationalError:
            if self.server.has(self.names.control, live=self.names.live):
                raise
            return None

    def _create_and_connect(self, name: str) -> Connection:
        try:
            self.create_database(self.names.control, ANY_TEXT)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # another process was faster, or was killed before it made the tables
        except psycopg.errors.InsufficientPrivilege as error:
            raise BackupNotSupportedError(
                f"The database {self.names.control}, which backups need beside {self.names.live},"
                f" can't be created: {sentence(error)}.",
                hint="Let an administrator run: ALTER ROLE"
                f" {self.server.parameters.get('user') or '…'} CREATEDB. Where a host gives one"
                " database only, see docs/scaling.md.",
            ) from error
        return self.server.connect(self.names.control, name=name)

    def _set_up(self, connection: Connection) -> None:
        """Make the tables if they are missing: who created the database may have been killed."""
        if _has_tables(connection):
            return
        name = self.names.control
        if connection.execute(FOREIGN_TABLES.encode()).fetchone() is not None:
            raise BackupNotSupportedError(
                f"The database {name} has tables of its own, and backups need this name for the"
                f" state and the receipts of {self.names.live}.",
                hint=f"Rename one of the two databases. Nothing in {name} was changed.",
            )
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SETUP_LOCK])
            connection.execute(TABLES.encode())
            connection.execute(
                sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(quoted(name))
            )
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(quoted(name), sql.Literal(COMMENT))
            )
        logger.info("the database %s is made ready, for state and receipts", name)


def _has_tables(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass('backups.record') IS NOT NULL").fetchone()
    return bool(row and row[0])
