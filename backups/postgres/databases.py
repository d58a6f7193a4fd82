"""
The databases around the live one: look at, rename, drop. new_database.py makes them.

DROP DATABASE can't be part of a transaction, and a rename can. So what is to go is renamed first,
with all else that happens, and dropped afterwards. What a killed process leaves is dropped by the
next sweep: its owner's lock is free then.
"""

import logging
from contextlib import suppress

import psycopg
from psycopg import sql

from backups.exceptions import BackupError
from backups.postgres.control import Control
from backups.postgres.locks import try_lock
from backups.postgres.names import Names
from backups.postgres.server import Connection, quoted, sentence

logger = logging.getLogger(__name__)

# Who is in the database, and who elsewhere has it locked: by ALTER, by COMMENT, for a copy.
# Of a session of another role, the server tells neither its kind nor its address. Only sessions of
# a role are in the way: the server ends its own work by itself.
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
    """Whether there is a database of this name, which no other site has for its live one."""
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


def rename(connection: Connection, old: str, new: str) -> None:
    """
    Rename a database, as a part of the connection's transaction. New connections to it wait from
    then on. The server waits up to 5 seconds for those that are there to end, and as long for the
    lock of whoever has it locked: new connections wait for that too.

    :raises psycopg.errors.ObjectInUse: some did not.
    :raises psycopg.errors.LockNotAvailable: nor did that.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(quoted(old), quoted(new))
    connection.execute(statement)


def drop(connection: Connection, name: str) -> None:
    """Drop a database that is ours alone, with whoever looks into it. Nothing if it is gone."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(quoted(name))
    with suppress(psycopg.errors.InvalidCatalogName):
        try:
            connection.execute(statement + sql.SQL(" WITH (FORCE)"))
        except psycopg.errors.InsufficientPrivilege:
            # Autovacuum is in it, as in any that has just been filled, or an administrator. By
            # force nothing of theirs may be ended; without it the server ends autovacuum itself.
            connection.execute(statement)


def who_is_connected(connection: Connection, name: str) -> str:
    """Who has a session in a database, or a prepared transaction, in words; empty if nobody."""
    rows = connection.execute(CONNECTED.encode(), {"name": name}).fetchall()
    words = [each for (each,) in rows[:MOST_NAMED]]
    more = len(rows) - MOST_NAMED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def who_is_in_the_way(control: Control, name: str) -> str:
    """The same for the message of an error, on a connection of its own. Never empty."""
    who = ""
    with suppress(BackupError), control.session() as connection:
        who = who_is_connected(connection, name)
    return who or "another session, which has ended since"


def drop_now(control: Control, name: str) -> None:
    """Drop a database of ours. :raises BackupError: the server refuses."""
    with control.session(name="backups: drop") as connection:
        drop(connection, name)


def sweep(control: Control) -> list[str]:
    """Drop what killed processes left, and return the names. What can't be dropped waits."""
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
