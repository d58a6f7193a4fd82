"""A new database beside the live one, and like it: for a snapshot on its way in."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from backups.postgres.control import Control
from backups.postgres.databases import drop_if_possible, owner_of
from backups.postgres.locks import try_lock
from backups.postgres.refusals import explained, sentence
from backups.postgres.server import Connection, quoted

logger = logging.getLogger(__name__)

# Of the live database, what a new one needs to be like it. The column of ICU's locale has had two
# names: https://www.postgresql.org/docs/current/catalog-pg-database.html
LIKE = """
SELECT pg_encoding_to_char(encoding), datcollate, datctype,
       to_jsonb(pg_database) ->> 'datlocprovider',
       coalesce(to_jsonb(pg_database) ->> 'datlocale', to_jsonb(pg_database) ->> 'daticulocale'),
       to_jsonb(pg_database) ->> 'daticurules', spcname, pg_get_userbyid(datdba)
FROM pg_database JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE datname = %s
"""
# What ALTER DATABASE … SET says, and ALTER ROLE … IN DATABASE … SET of this role.
SETTINGS = """
SELECT setrole <> 0, unnest(setconfig) FROM pg_db_role_setting
WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
  AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s) ORDER BY setrole
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


@contextmanager
def incoming_database(control: Control, *, template: str | None = None) -> Iterator[str]:
    """
    A new database for the block, like the live one and empty. Afterwards it is dropped, unless it
    was renamed.

    :param template: a database that it is a copy of instead.
    :raises BackupError: the server refuses.
    """
    owner = control.open(name="backups: incoming")  # its lock says that this process lives
    try:
        name = control.names.incoming()
        with explained(f"the lock of {name}"):
            try_lock(owner, name)
        try:
            _create(control, owner, name, template)
            yield name
        finally:
            drop_if_possible(control, name)
    finally:
        owner.close()


def _create(control: Control, connection: Connection, name: str, template: str | None) -> None:
    with explained(f"a new database {name}"):
        live = control.names.live
        like = _like(connection, live, control.server.template)
        rest = _copy_of(template, owner_of(connection, live)) if template else like
        # Owned as the live one is, and with its limit.
        control.create_database(name, rest + _limit(connection, live))
        _copy_comment(connection, live, name)
        for is_own, setting in connection.execute(SETTINGS.encode(), [live]).fetchall():
            _set(connection, name, *setting.split("=", 1), is_own=is_own)
        _copy_rights(connection, live, name)


def _set(connection: Connection, name: str, key: str, value: str, *, is_own: bool) -> None:
    """Set a parameter by FROM CURRENT: a list such as search_path, quoted, would be one name."""
    whose = "ALTER ROLE CURRENT_USER IN DATABASE {}" if is_own else "ALTER DATABASE {}"
    statement = sql.SQL(whose + " SET {} FROM CURRENT").format(quoted(name), quoted(key))
    try:
        with connection.transaction():
            connection.execute("SELECT set_config(%s, %s, true)", [key, value])
            connection.execute(statement)
    except psycopg.Error as error:  # e.g. only a superuser may set it: the person is warned
        logger.info("%s does not get the setting %s: %s", name, key, sentence(error))


def _limit(connection: Connection, live: str) -> sql.Composable:
    """Of connections: a copy does not take that of its template."""
    query = "SELECT datconnlimit FROM pg_database WHERE datname = %s"
    (most,) = connection.execute(query, [live]).fetchone() or (-1,)
    return sql.SQL(" CONNECTION LIMIT {}").format(sql.Literal(max(most, -1)))


def _copy_comment(connection: Connection, live: str, name: str) -> None:
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    (comment,) = connection.execute(query, [live]).fetchone() or (None,)
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(quoted(name), sql.Literal(comment))
    )


def _copy_rights(connection: Connection, live: str, name: str) -> None:
    """Copy who may connect, if that was ever changed. Rights on tables are lost."""
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
    encoding, collate, ctype, provider, locale, rules, space, owner = row
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
    if space != DEFAULT_SPACE:
        words += sql.SQL(" TABLESPACE {}").format(quoted(space))
    return words
