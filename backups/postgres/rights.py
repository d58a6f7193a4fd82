"""What the site's role may do on the server, and what a restored database can't have through it."""

from contextlib import suppress

from backups.exceptions import BackupError, BackupNotSupportedError
from backups.postgres.control import Control
from backups.postgres.databases import is_standby
from backups.postgres.server import Connection

# The names of the settings that one database has and another lacks; a value may be secret.
LOST_SETTINGS = """
SELECT DISTINCT coalesce(rolname || '.', '') || split_part(setting, '=', 1) FROM (
    SELECT setrole, unnest(setconfig) AS setting FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = %s
    EXCEPT SELECT setrole, unnest(setconfig) FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = %s
) AS lost LEFT JOIN pg_roles ON pg_roles.oid = setrole ORDER BY 1
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


def check_role(connection: Connection, live: str) -> None:
    """
    Check that the site's role may do what a restore needs.

    :raises BackupNotSupportedError: something is missing; the message says what.
    """
    if is_standby(connection):
        raise BackupNotSupportedError(
            "This server is a standby: it follows another one, and nothing can be changed here.",
            hint="Restore on the server that it follows, or promote it: SELECT pg_promote().",
        )
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
            hint="Let the site use a role of its own, CREATE ROLE … LOGIN CREATEDB, and a new"
            " database that it owns, CREATE DATABASE … OWNER …. Restore the snapshot there.",
        )
    if not may_create:
        raise BackupNotSupportedError(
            f"The role {role} may not create databases, and a restore needs a new one.",
            hint=f"Let an administrator run: ALTER ROLE {role} CREATEDB. Where a host gives one"
            " database only, see docs/scaling.md.",
        )
    if not is_owner:
        raise BackupNotSupportedError(
            f"The role {role} does not own the database {live}, so it can't rename it.",
            hint=f"Let an administrator run: ALTER DATABASE {live} OWNER TO {role}.",
        )


def warn_of_rights(control: Control, *, seconds: float) -> list[str]:
    """
    Name the other roles with rights in the live database: a dump is restored without rights. Empty
    if the live database can't be read.

    :param seconds: how long the query may take.
    """
    live = control.names.live
    with suppress(BackupError), control.server.session(live, seconds=seconds) as connection:
        if roles := _column(connection, OTHERS_RIGHTS):
            return [
                f"Other roles have rights in {live} that the restored database will not have:"
                f" {', '.join(roles)}. Grant them again after the restore."
            ]
    return []


def warn_of_settings(control: Control, name: str) -> list[str]:
    """Name the settings of the live database that this role could not give to database ``name``."""
    live = control.names.live
    with control.session() as connection:
        lost = _column(connection, LOST_SETTINGS, live, name)
    if not lost:
        return []
    return [
        f"Settings of {live} that the restored database will not have, since only an administrator"
        f" may set them: {', '.join(lost)}. Set them again after the restore (ALTER DATABASE …"
        " SET, ALTER ROLE … IN DATABASE … SET)."
    ]


def _column(connection: Connection, query: str, *values: str) -> list[str]:
    # Without values, psycopg leaves the % of a pattern alone.
    return [str(each) for (each,) in connection.execute(query.encode(), values or None)]
