"""How many rows each table has, and which migrations were applied: what a manifest says."""

import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict

from backups.sqlite.format.schema import QUERY, quote, sort_out
from backups.store import Inventory


def take_inventory(connection: sqlite3.Connection, *, schema: str = "main") -> Inventory:
    """
    Count in the connection's present transaction. SQLite's own tables and virtual ones are left
    out, and so is a table that can't be read.

    :param schema: the name of an attached database to count in.
    :raises sqlite3.Error: not even the schema can be read, or the connection was interrupted.
    """
    rows = {}
    found = sort_out(connection.execute(QUERY.replace("sqlite_master", f"{schema}.sqlite_master")))
    for table in sorted(name for name in found.tables if not name.startswith("sqlite_")):
        query = f"SELECT count(*) FROM {schema}.{quote(table)}"  # noqa: S608
        try:
            (rows[table],) = connection.execute(query).fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise
    migrations: list[tuple[object, object]] = []
    with suppress(sqlite3.Error):  # no such table, or not Django's
        query = f"SELECT app, name FROM {schema}.django_migrations ORDER BY id"  # noqa: S608
        migrations = connection.execute(query).fetchall()
    return Inventory(tuple(f"{app}.{name}" for app, name in migrations), rows)


def write_inventory(inventory: Inventory) -> bytes:
    """As JSON, for another process."""
    return json.dumps(asdict(inventory)).encode()


def read_inventory(content: bytes) -> Inventory | None:
    """As another process has written it; None if it could not."""
    if not content:
        return None
    found = json.loads(content)
    return Inventory(tuple(found["migrations"]), found["rows"])
