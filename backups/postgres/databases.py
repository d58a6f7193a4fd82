"""
The databases around the live one: look at, rename, drop. new_database.py makes them.

DROP DATABASE can't be part of a transaction, and a rename can. So a database that goes is renamed
in the transaction, and dropped afterwards. The next sweep drops what a killed process left: once
that has ended, its lock is free.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from backups.exceptions import BackupError
from backups.postgres.control import Control
from backups.postgres.locks import try_lock
from backups.postgres.names import Names
from backups.postgres.refusals import sentence
from backups.postgres.server import Connection, quoted

logger = logging.getLogger(__name__)

# Sessions in the database, and sessions elsewhere that have it locked: by ALTER, by COMMENT, or for
# a copy. Of another role's session the server shows neither kind nor address. Sessions without a
# role are the server's own: it ends them itself.
CONNECTED = """
SELECT coalesce(nullif(application_name, ''), 'a session') || ' of ' || usename || CASE
    WHEN backend_type IS NULL THEN '' ELSE ' from ' || coalesce(host(client_addr),
    'the server itself') END || ' (' || pid || ')'
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND usesysid IS NOT NULL AND (datname = %(name)s OR pid IN (
    SELECT pid FROM pg_locks WHERE locktype = 'object' AND granted AND database = 0
    AND classid = 'pg_database'::regclass
    AND objid = (SELECT oid FROM pg_database WHERE datname = %(name)s)
))
UNION ALL
SELECT 'the prepared transaction ' || gid || ' of ' || owner FROM pg_prepared_xacts
WHERE database = %(name)s ORDER BY 1
"""
# Only sessions that this role may end: one refusal would end the statement before the others.
END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
WHERE datname = %s AND pid <> pg_backend_pid()
  AND (NOT rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
  AND (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
"""
LOCK_SECONDS = 5
IN_USE = (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable)  # why a rename is refused
MOST_NAMED = 5  # sessions in a sentence


def exists(connection: Connection, name: str) -> bool:
    """Whether there is a database of this name."""
    row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return row is not None


def owner_of(connection: Connection, name: str) -> str:
    """Who owns a database: the site's role, or one that it is a member of; empty without one."""
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    (role,) = connection.execute(query, [name]).fetchone() or ("",)
    return str(role)


def is_standby(connection: Connection) -> bool:
    """Whether the server follows another one, so that nothing can be changed here."""
    return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def is_ours(connection: Connection, name: str) -> bool:
    """Whether there is a database of this name, and it is not the live one of another site."""
    return exists(connection, name) and not exists(connection, Names(name).control)


def list_names(connection: Connection, stem: str) -> list[str]:
    """The databases whose names begin with this, but no live one of another site."""
    rows = connection.execute("SELECT datname FROM pg_database ORDER BY datname")
    names = [name for (name,) in rows]
    return [each for each in names if each.startswith(stem) and Names(each).control not in names]


def size_of(connection: Connection, name: str) -> int:
    """The bytes of a database on the server's disk; 0 if it is gone."""
    try:
        row = connection.execute("SELECT pg_database_size(%s::name)", [name]).fetchone()
    except psycopg.errors.InvalidCatalogName:
        return 0
    return int(row[0]) if row else 0


def free_name(connection: Connection, name: Callable[[int], str]) -> str:
    """The first of these names that no database has: of the attempts 1, 2 …"""
    return next(each for each in map(name, itertools.count(1)) if not exists(connection, each))


def rename(connection: Connection, old: str, new: str) -> None:
    """
    Rename a database, as a part of the connection's transaction. From now on new connections to it
    wait for the end of that.

    :raises psycopg.errors.ObjectInUse: a session in it did not end within 5 seconds.
    :raises psycopg.errors.LockNotAvailable: another session has kept it locked for LOCK_SECONDS.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(quoted(old), quoted(new))
    connection.execute(statement)


def drop(connection: Connection, name: str) -> None:
    """Drop a database of ours, and end the sessions in it. Does nothing if it is gone."""
    words = sql.SQL("DROP DATABASE IF EXISTS {}").format(quoted(name))
    with suppress(psycopg.errors.InvalidCatalogName):
        try:
            connection.execute(words + sql.SQL(" WITH (FORCE)"))
        except psycopg.errors.InsufficientPrivilege:
            # The server is at work in it by itself: it vacuums. Without FORCE it ends that first.
            end_sessions(connection, name)
            connection.execute(words)


def end_sessions(connection: Connection, name: str) -> None:
    """End the sessions in a database: all that this role may end."""
    connection.execute(END.encode(), [name])


def who_is_connected(connection: Connection, name: str) -> str:
    """The sessions and prepared transactions in a database, for a message; empty without any."""
    rows = connection.execute(CONNECTED.encode(), {"name": name}).fetchall()
    words = [each for (each,) in rows[:MOST_NAMED]]
    more = len(rows) - MOST_NAMED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


@contextmanager
def naming_sessions(
    control: Control, name: str, error: type[BackupError], *, hint: str
) -> Iterator[None]:
    """
    For a block that renames this database: if it is in use, say by whom.

    :raises BackupError: of the kind ``error``, with this hint.
    """
    try:
        yield
    except IN_USE as refusal:
        raise error(
            f"The database {name} could not be renamed: it is in use by"
            f" {_who_is_in_the_way(control, name)}.",
            hint=hint,
        ) from refusal


def _who_is_in_the_way(control: Control, name: str) -> str:
    """Never empty. On a connection of its own: that of the rename can't ask after its error."""
    who = ""
    with suppress(BackupError), control.session() as connection:
        who = who_is_connected(connection, name)
    return who or "another session, which has ended since"


def drop_if_possible(control: Control, *names: str | None) -> None:
    """Drop databases of ours. A sweep drops what stays."""
    for name in filter(None, names):
        with (
            suppress(BackupError, psycopg.Error),
            control.session(name="backups: drop") as connection,
        ):
            drop(connection, name)


def sweep(control: Control) -> list[str]:
    """Drop what killed processes left, and return the names. What is in use stays for later."""
    swept: list[str] = []
    with control.if_there() as connection:
        if connection is None:
            return swept
        for name in list_names(connection, control.names.stem):
            if control.names.is_temporary(name) and try_lock(connection, name):
                try:
                    drop(connection, name)
                    swept.append(name)
                except psycopg.Error as error:
                    logger.warning("the database %s can't be dropped: %s", name, sentence(error))
    return swept
