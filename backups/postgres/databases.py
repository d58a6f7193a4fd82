"""
The databases around the live one: make, look at, rename, drop.

DROP DATABASE can't be part of a transaction, and a rename can. So what is to go is renamed first,
with all else that happens, and dropped afterwards. What a killed process leaves is dropped by the
next sweep: its owner's lock is free then.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from backups.exceptions import BackupError, BackupNotSupportedError
from backups.postgres.control import Control
from backups.postgres.locks import try_lock
from backups.postgres.names import Names
from backups.postgres.server import Connection, explained, quoted, sentence

logger = logging.getLogger(__name__)

# Of the live database, what a new one needs to be like it. The column of ICU's locale has had two
# names: https://www.postgresql.org/docs/current/catalog-pg-database.html
LIKE = """
SELECT pg_encoding_to_char(encoding), datcollate, datctype,
       to_jsonb(pg_database) ->> 'datlocprovider',
       coalesce(to_jsonb(pg_database) ->> 'datlocale', to_jsonb(pg_database) ->> 'daticulocale'),
       to_jsonb(pg_database) ->> 'daticurules', datconnlimit, spcname, pg_get_userbyid(datdba)
FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE datname = %s
"""
# What ALTER DATABASE … SET says, and ALTER ROLE … IN DATABASE … SET of this role.
SETTINGS = """
SELECT setrole <> 0, unnest(setconfig) FROM pg_db_role_setting
WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
  AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s) ORDER BY setrole
"""
# Of one database, and not of another. No values: they may be secret.
LOST_SETTINGS = """
SELECT DISTINCT coalesce(rolname || '.', '') || split_part(setting, '=', 1) FROM (
    SELECT setrole, unnest(setconfig) AS setting FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = %s
    EXCEPT SELECT setrole, unnest(setconfig) FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = %s
) AS lost LEFT JOIN pg_roles ON pg_roles.oid = setrole ORDER BY 1
"""
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
OTHERS_RIGHTS = """
SELECT DISTINCT rolname FROM (
    SELECT relacl AS acl, relowner AS owner FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    UNION ALL SELECT datacl, datdba FROM pg_database WHERE datname = current_database()
) AS found, aclexplode(acl) JOIN pg_roles ON pg_roles.oid = grantee
WHERE grantee <> owner ORDER BY rolname
"""
# The rights in the database as a whole; a role that is empty is everybody.
RIGHTS = """
SELECT CASE grantee WHEN 0 THEN '' ELSE (SELECT rolname FROM pg_roles WHERE oid = grantee) END,
       privilege_type
FROM pg_database, aclexplode(datacl) WHERE datname = %s
"""
RIGHT_WORDS = {each: sql.SQL(each) for each in ("CONNECT", "CREATE", "TEMPORARY")}
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
DEFAULT_SPACE = "pg_default"
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
    with suppress(psycopg.errors.InvalidCatalogName):
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted(name)))


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


def check_role(connection: Connection, live: str) -> None:
    """
    Whether the site's role may do what a restore needs.

    :raises BackupNotSupportedError: something is missing; the message says what.
    """
    row = connection.execute(
        "SELECT current_user, rolcreatedb, rolsuper,"
        " coalesce((SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s), true)"
        " FROM pg_roles WHERE rolname = current_user",
        [live],
    ).fetchone()
    assert row is not None
    role, may_create, is_super, is_owner = row
    if is_super:
        raise BackupNotSupportedError(
            f"The role {role} is a superuser. A dump is SQL that runs, so no superuser restores"
            " one.",
            hint="Let the site use a role of its own: CREATE ROLE … LOGIN CREATEDB, and make it the"
            " owner of the database and of what is in it (REASSIGN OWNED).",
        )
    if not may_create:
        raise BackupNotSupportedError(
            f"The role {role} may not create databases, and a restore needs a new one.",
            hint=f"Let an administrator say: ALTER ROLE {role} CREATEDB. Where a host gives one"
            " database only, see docs/scaling.md.",
        )
    if not is_owner:
        raise BackupNotSupportedError(
            f"The role {role} does not own the database {live}, so it can't rename it.",
            hint=f"Let an administrator say: ALTER DATABASE {live} OWNER TO {role}.",
        )


def lost_rights(connection: Connection) -> list[str]:
    """The other roles that have rights in the database of this connection: a dump has none."""
    rows = connection.execute(OTHERS_RIGHTS.encode())
    return [role for (role,) in rows]


def lost_settings(connection: Connection, live: str, name: str) -> list[str]:
    """The settings of the live database that this role could not give another one."""
    return [setting for (setting,) in connection.execute(LOST_SETTINGS.encode(), [live, name])]


@contextmanager
def incoming_database(control: Control, *, template: str | None = None) -> Iterator[str]:
    """
    A new database for the block, like the live one and empty. Afterwards it is dropped, unless it
    was renamed.

    :param template: a database that it is a copy of instead.
    :raises BackupError: the server refuses.
    """
    owner = control.open(name="backups: incoming")  # its lock says that we live
    try:
        name = control.names.incoming()
        with explained(f"the lock of {name}"):
            try_lock(owner, name)
        try:
            _create(control, owner, name, template)
            yield name
        finally:
            with suppress(BackupError, psycopg.Error):  # a sweep drops what stays
                drop_now(control, name)
    finally:
        owner.close()


def _create(control: Control, connection: Connection, name: str, template: str | None) -> None:
    with explained(f"a new database {name}"):
        live = control.names.live
        like = _like(connection, live, control.server.template)
        rest = _copy_of(template, owner_of(connection, live)) if template else like
        control.create_database(name, rest)  # owned as the live one is
        for is_own, setting in connection.execute(SETTINGS.encode(), [live]).fetchall():
            _set(connection, name, *setting.split("=", 1), is_own=is_own)
        _copy_rights(connection, live, name)


def _set(connection: Connection, name: str, key: str, value: str, *, is_own: bool) -> None:
    """Set a parameter for a database: as a literal, a list such as search_path were one name."""
    whose = "ALTER ROLE CURRENT_USER IN DATABASE {}" if is_own else "ALTER DATABASE {}"
    statement = sql.SQL(whose + " SET {} FROM CURRENT").format(quoted(name), quoted(key))
    try:
        with connection.transaction():
            connection.execute("SELECT set_config(%s, %s, true)", [key, value])
            connection.execute(statement)
    except psycopg.Error as error:  # e.g. only a superuser may set it: the person is warned
        logger.info("%s does not get the setting %s: %s", name, key, sentence(error))


def _copy_rights(connection: Connection, live: str, name: str) -> None:
    """Who may connect, if that was ever changed. Rights in the database itself are lost."""
    found = connection.execute(RIGHTS.encode(), [live]).fetchall()
    if not found:
        return
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(quoted(name)))
    for role, right in found:
        if role is not None:
            whom = quoted(role) if role else sql.SQL("PUBLIC")
            connection.execute(
                sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                    RIGHT_WORDS[right], quoted(name), whom
                )
            )


def _copy_of(name: str, owner: str) -> sql.Composable:
    words = sql.SQL("TEMPLATE {}").format(quoted(name))
    return words + sql.SQL(" OWNER {}").format(quoted(owner)) if owner else words


def _like(connection: Connection, name: str, template: str) -> sql.Composable:
    """The rest of CREATE DATABASE: with the encoding and the locale of that database."""
    row = connection.execute(LIKE.encode(), [name]).fetchone()
    if row is None:  # there is no live database
        return sql.SQL("TEMPLATE {}").format(quoted(template))
    encoding, collate, ctype, provider, locale, rules, most, space, owner = row
    words = sql.SQL("OWNER {} TEMPLATE {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        quoted(owner),
        quoted(template),
        sql.Literal(encoding),
        sql.Literal(collate),
        sql.Literal(ctype),
    )
    if provider in PROVIDERS:  # from PostgreSQL 15 on
        words += sql.SQL(" LOCALE_PROVIDER {}").format(sql.SQL(PROVIDERS[provider]))
    if provider in ("i", "b") and locale:
        word = sql.SQL("ICU_LOCALE" if provider == "i" else "BUILTIN_LOCALE")
        words += sql.SQL(" {} {}").format(word, sql.Literal(locale))
    if rules:
        words += sql.SQL(" ICU_RULES {}").format(sql.Literal(rules))
    if most >= 0:
        words += sql.SQL(" CONNECTION LIMIT {}").format(sql.Literal(most))
    if space != DEFAULT_SPACE:
        words += sql.SQL(" TABLESPACE {}").format(quoted(space))
    return words


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
