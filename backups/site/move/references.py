"""Rows of the snapshot that refer to rows which are not there: SQLite did not always enforce it."""

import sqlite3

from backups.site.move.faults import Faults
from backups.site.move.source import Source, SourceTable
from backups.sqlite.format.schema import quote


def find_broken_references(source: Source, faults: Faults) -> None:
    """Note each. PostgreSQL itself judges a table whose references SQLite can't check."""
    for table in source.tables:
        sql = f"PRAGMA foreign_key_check({quote(table.name)})"
        try:
            rows = source.stream(sql)
            for _, rowid, parent, number in rows:
                columns = _columns(source, table, number)
                faults.add(
                    table.name,
                    _key(source, table, rowid),
                    ", ".join(columns),
                    f"refers to a row of {parent} that does not exist",
                )
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
