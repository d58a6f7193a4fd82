"""What is in a database: its migrations, its tables with their columns, and its rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from backups.postgres.server import Connection, quoted
from backups.sqlite.format.schema import fold
from backups.store import Inventory

MIGRATIONS = "django_migrations"
# All ordinary and partitioned tables but those of the system and of extensions; and whether the
# name alone, without a schema, reaches it.
TABLES = """
SELECT nspname, relname, pg_table_is_visible(pg_class.oid), pg_class.oid
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (
      SELECT 1 FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
  )
ORDER BY nspname, relname
"""
COLUMNS = """
SELECT attname, attgenerated <> '' FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@dataclass(frozen=True)
class Contents:
    """What is in a database. The names of ``tables`` and ``generated`` are folded."""

    migrations: tuple[str, ...] = ()  # ``app.name``, in the order in which they were applied
    tables: Mapping[str, Collection[str]] = field(default_factory=dict)  # with their columns
    generated: Mapping[str, Collection[str]] = field(default_factory=dict)
    has_migrations: bool = False  # whether there is a table of migrations


@dataclass(frozen=True)
class Table:
    """A table. ``name`` has the schema only where Django has to write it."""

    name: str
    schema: str
    relation: str
    number: int

    @property
    def identifier(self) -> sql.Composable:
        """Its name in a statement."""
        return sql.SQL("{}.{}").format(quoted(self.schema), quoted(self.relation))


def list_tables(connection: Connection) -> list[Table]:
    """Every table of the site, whichever schema it is in."""
    return [
        Table(name if is_visible else f"{schema}.{name}", schema, name, number)
        for schema, name, is_visible, number in connection.execute(TABLES.encode())
    ]


def read_contents(connection: Connection) -> Contents:
    """What is there now. Reads no rows but those of the migrations."""
    tables, generated = {}, {}
    names = list_tables(connection)
    for table in names:
        columns = connection.execute(COLUMNS.encode(), [table.number]).fetchall()
        tables[fold(table.name)] = frozenset(fold(name) for name, _ in columns)
        if computed := frozenset(fold(name) for name, is_generated in columns if is_generated):
            generated[fold(table.name)] = computed
    return Contents(
        read_migrations(connection), tables, generated, has_migrations=MIGRATIONS in tables
    )


def read_migrations(connection: Connection) -> tuple[str, ...]:
    """``app.name`` of each, in order; none if there is no such table, or it is not Django's."""
    try:
        with connection.transaction():
            rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
            return tuple(dict.fromkeys(f"{app}.{name}" for app, name in rows))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        return ()


def count_rows(connection: Connection) -> dict[str, int]:
    """
    The rows of each table by its name.

    :raises psycopg.Error: a table can't be read, or it takes longer than the connection may.
    """
    counted = {}
    for table in list_tables(connection):
        statement = sql.SQL("SELECT count(*) FROM {}").format(table.identifier)
        (counted[table.name],) = connection.execute(statement).fetchone() or (0,)
    return counted


def take_inventory(connection: Connection) -> Inventory:
    """What a manifest says, of one moment if the connection's transaction sees one."""
    return Inventory(read_migrations(connection), count_rows(connection))


def empty(connection: Connection, names: Collection[str]) -> None:
    """Remove all rows of these tables, as far as they exist, in this order."""
    there = {table.name: table for table in list_tables(connection)}
    for name in names:
        if name in there:
            connection.execute(sql.SQL("DELETE FROM {}").format(there[name].identifier))


def has_account(connection: Connection, table: str, column: str, value: str) -> bool:
    """Whether a table has a row with this value; no if there is no such table or column."""
    found = next((each for each in list_tables(connection) if each.name == table), None)
    if found is None:
        return False
    statement = sql.SQL("SELECT 1 FROM {} WHERE {} = %s LIMIT 1").format(
        found.identifier, quoted(column)
    )
    try:
        return connection.execute(statement, [value]).fetchone() is not None
    except psycopg.errors.UndefinedColumn:
        return False
