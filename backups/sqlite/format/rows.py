"""How many rows each table has, and which migrations were applied: what a manifest says."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from backups.sqlite.format.connection import connect
from backups.sqlite.format.schema import QUERY, quote, sort_out
from backups.sqlite.format.sqlite_errors import primary_code
from backups.store import Inventory

INTERRUPT_SECONDS = 0.05  # between two tries to interrupt what takes too long
OF_THE_DATABASE = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT)  # 0: the error has no code


def take_inventory(connection: sqlite3.Connection, *, schema: str = "main") -> Inventory:
    """
    Count in the connection's present transaction. SQLite's own tables and virtual ones are left
    out, and so is a table that SQLite can't read, e.g. since it lacks a collation.

    :param schema: the name of an attached database to count in.
    :raises sqlite3.Error: not even the schema can be read; or it is not because of the database
        that a table can't be: the disk or the memory failed, or somebody interrupted this.
    """
    rows = {}
    found = sort_out(connection.execute(QUERY.replace("sqlite_master", f"{schema}.sqlite_master")))
    for table in sorted(name for name in found.tables if not name.startswith("sqlite_")):
        query = f"SELECT count(*) FROM {schema}.{quote(table)}"  # noqa: S608
        try:
            (rows[table],) = connection.execute(query).fetchone()
        except sqlite3.Error as error:
            if primary_code(error) not in OF_THE_DATABASE:
                raise
    migrations: list[tuple[object, object]] = []
    with suppress(sqlite3.Error):  # no such table, or not Django's
        query = f"SELECT app, name FROM {schema}.django_migrations ORDER BY id"  # noqa: S608
        migrations = connection.execute(query).fetchall()
    return Inventory(tuple(f"{app}.{name}" for app, name in migrations), rows)


def count_rows(connection: sqlite3.Connection, *, seconds: float) -> Mapping[str, int]:
    """
    The rows of ``take_inventory``, if it takes no longer than this.

    SQLite counts a whole table in one step of its machine, so a progress handler comes too late.

    :raises sqlite3.Error: as ``take_inventory``; it takes longer.
    """
    is_over = threading.Event()

    def interrupt() -> None:
        if not is_over.wait(seconds):
            while not is_over.wait(INTERRUPT_SECONDS):
                connection.interrupt()  # which has no effect between two statements

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        return take_inventory(connection).rows
    finally:
        is_over.set()
        thread.join()


def inventory_of(path: Path) -> Inventory:
    """As ``take_inventory``, of a file that nobody else has open."""
    with closing(connect(path, mode="ro")) as connection:
        return take_inventory(connection)


def write_inventory(inventory: Inventory) -> bytes:
    """As JSON, for another process."""
    return json.dumps(asdict(inventory)).encode()


def read_inventory(content: bytes) -> Inventory | None:
    """As another process has written it; None if it could not."""
    if not content:
        return None
    found = json.loads(content)
    return Inventory(tuple(found["migrations"]), found["rows"])
