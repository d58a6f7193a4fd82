"""Rows of the snapshot that refer to rows which are not there: SQLite did not always enforce it."""

import sqlite3
from collections.abc import Collection

from backups.site.move.faults import Faults
from backups.site.move.source import Source, SourceTable
from backups.site.move.target import Tables, match
from backups.sqlite.format.schema import quote

NOT_THERE = "refers to a row of {} that does not exist"


def find_broken_references(
    source: Source, tables: Tables, enforced: Collection[tuple[str, ...]], faults: Faults
) -> None:
    """
    Note each. PostgreSQL itself judges a table whose references SQLite can't check.

    :param tables: those of PostgreSQL.
    :param enforced: the table and the columns of each reference that PostgreSQL enforces: a table
        without a model has none there.
    """
    for table in source.tables:
        name = str(match(table.name, tables))
        sql = f"PRAGMA foreign_key_check({quote(table.name)})"
        try:
            for _, rowid, parent, number in source.stream(sql):
                columns = _columns(source, table, number)
                there = [str(match(column, tables[name])) for column in columns]
                if (name, *there) in enforced:
                    key, why = _key(source, table, rowid), NOT_THERE.format(parent)
                    faults.add(table.name, key, ", ".join(columns), why)
        except sqlite3.OperationalError:  # "foreign key mismatch": the other table lacks the key
            continue


def _columns(source: Source, table: SourceTable, number: int) -> list[str]:
    rows = source.query(f"PRAGMA foreign_key_list({quote(table.name)})")
    return [str(column) for key, _, _, column, *_ in rows if key == number]


def _key(source: Source, table: SourceTable, rowid: int | None) -> object:
    if rowid is None or not table.rowid:
        return None
    names = ", ".join(map(quote, table.key))
    sql = f"SELECT {names} FROM {quote(table.name)} WHERE {table.rowid[0]} = ?"  # noqa: S608
    ((*key,),) = source.query(sql, rowid)
    return key_of(key)


def key_of(values: list[object] | tuple[object, ...]) -> str:
    """A key in a sentence: its value, or its values in parentheses."""
    words = ["NULL" if value is None else str(value) for value in values]
    return words[0] if len(words) == 1 else f"({', '.join(words)})"
