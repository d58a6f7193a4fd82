"""Read what is in a database that has been checked, into the verdict."""

import sqlite3
from collections.abc import Mapping

from backups.sqlite.checking.findings import clip, is_of_memory
from backups.sqlite.checking.messages import Question, Verdict
from backups.sqlite.checking.sandbox import Sandbox
from backups.sqlite.format.schema import Columns, Schema, fold, quote, read_columns

MIGRATIONS = "django_migrations"
MIGRATION_COLUMNS = ("id", "app", "name")


def read_contents(
    connection: sqlite3.Connection, question: Question, schema: Schema, verdict: Verdict
) -> dict[str, Columns]:
    """Returns the columns of each real table, by its own name."""
    columns = {
        name: read_columns(connection.execute(f"PRAGMA table_xinfo({quote(name)})"))
        for name in schema.tables
    }
    verdict.tables = {fold(table): each.names for table, each in columns.items()}
    verdict.generated = {
        fold(table): each.generated for table, each in columns.items() if each.generated
    }
    verdict.programs = [(each.kind, each.name, each.sql) for each in schema.programs]
    _read_migrations(connection, verdict)
    verdict.account_is_missing = _is_missing(connection, question, verdict)
    return columns


def compute_columns(sandbox: Sandbox, columns: Mapping[str, Columns]) -> None:
    """
    Compute each generated column that is not stored, which SQLite's check does not do: the site's
    first query must not be what discovers an endless one.

    :raises sqlite3.Error: the time is over, or there is no memory left. A row that an expression
        can't compute does not raise: the site may expect that.
    """
    for table, each in columns.items():
        for column in each.virtual:
            query = f"SELECT count({quote(column)}) FROM {quote(table)} NOT INDEXED"  # noqa: S608
            try:
                sandbox.connection.execute(query).fetchone()
            except sqlite3.Error as error:
                if sandbox.is_late or is_of_memory(getattr(error, "sqlite_errorcode", 0)):
                    raise


def _read_migrations(connection: sqlite3.Connection, verdict: Verdict) -> None:
    if (columns := verdict.tables.get(MIGRATIONS)) is None:
        return
    verdict.migrations_lack = [name for name in MIGRATION_COLUMNS if name not in columns]
    if not verdict.migrations_lack:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        if any(not isinstance(word, str) or "\ufffd" in word for row in rows for word in row):
            # Django could not read them, so the site would not know its live database afterwards.
            verdict.damage = ["a row of django_migrations has a name that is not text"]
        verdict.migrations = list(dict.fromkeys(clip(f"{app}.{name}") for app, name in rows))


def _is_missing(connection: sqlite3.Connection, question: Question, verdict: Verdict) -> bool:
    if question.account is None:
        return False
    table, column, value = question.account
    if fold(column) not in verdict.tables.get(fold(table), []):
        return True
    query = f"SELECT 1 FROM {quote(table)} WHERE {quote(column)} = ?"  # noqa: S608
    return connection.execute(query, (value,)).fetchone() is None
