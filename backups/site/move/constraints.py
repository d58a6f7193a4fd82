"""
What PostgreSQL would do at each row, and must not do before all rows are there: foreign keys, whose
rows can come in any order, and triggers, which would write rows of their own.

The foreign keys are made again in the same words, at the end, which checks all rows at once. The
site's role owns the tables; it needs no right besides.
"""

from dataclasses import dataclass
from typing import Any

import psycopg

from backups.site.move.faults import Faults
from backups.site.move.references import NOT_THERE, key_of
from backups.sqlite.format.schema import quote

NAMES = """
SELECT array_agg(a.attname::text ORDER BY each.place)
FROM unnest({numbers}) WITH ORDINALITY AS each(number, place)
JOIN pg_attribute a ON a.attrelid = {table} AND a.attnum = each.number
"""
FOREIGN_KEYS = f"""
SELECT r.relname, c.conname, pg_get_constraintdef(c.oid), p.relname,
       ({NAMES.format(numbers="c.conkey", table="c.conrelid")}),
       ({NAMES.format(numbers="c.confkey", table="c.confrelid")}),
       ({NAMES.format(numbers="k.conkey", table="c.conrelid")})
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
JOIN pg_class p ON p.oid = c.confrelid
LEFT JOIN pg_constraint k ON k.conrelid = c.conrelid AND k.contype = 'p'
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.connamespace = current_schema()::regnamespace
ORDER BY c.oid
"""  # noqa: S608
TRIGGERS = """
SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relnamespace = current_schema()::regnamespace
"""
ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@dataclass(frozen=True)
class ForeignKey:
    """One of PostgreSQL's."""

    table: str
    name: str
    definition: str
    parent: str
    columns: list[str]
    of_parent: list[str]  # the columns there
    key: list[str] | None  # the table's primary key

    def broken(self) -> str:
        """The SQL that finds the rows which refer to none."""
        pairs = list(zip(map(quote, self.columns), map(quote, self.of_parent), strict=True))
        are_set = " AND ".join(f"c.{mine} IS NOT NULL" for mine, _ in pairs)
        are_equal = " AND ".join(f"p.{theirs} = c.{mine}" for mine, theirs in pairs)
        key = ", ".join(f"c.{quote(each)}::text" for each in self.key or ()) or "c.ctid::text"
        return (
            f"SELECT {key} FROM {quote(self.table)} c WHERE {are_set} AND NOT EXISTS"  # noqa: S608
            f" (SELECT FROM {quote(self.parent)} p WHERE {are_equal})"
        )


class PutOff:
    """The foreign keys and triggers of a database, off until ``put_back``."""

    def __init__(self, connection: Any) -> None:
        """:param connection: psycopg's, in a transaction."""
        self._connection = connection
        rows = connection.execute(FOREIGN_KEYS).fetchall()
        self.foreign_keys = [ForeignKey(*row) for row in rows]
        self._triggers = connection.execute(TRIGGERS).fetchall()
        for each in self.foreign_keys:
            sql = f"ALTER TABLE {quote(each.table)} DROP CONSTRAINT {quote(each.name)}"
            connection.execute(sql)
        for table, name, _ in self._triggers:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {quote(name)}")

    def put_back(self, faults: Faults) -> None:
        """Check all rows. Notes each that breaks a foreign key."""
        for each in self.foreign_keys:
            table, name = quote(each.table), quote(each.name)
            sql = f"ALTER TABLE {table} ADD CONSTRAINT {name} {each.definition}"
            try:
                with self._connection.transaction():
                    self._connection.execute(sql)
            except psycopg.IntegrityError:
                self._note_broken(each, faults)
        for table, name, kind in self._triggers:
            self._connection.execute(f"ALTER TABLE {table} {ENABLE[kind]} TRIGGER {quote(name)}")

    def _note_broken(self, foreign_key: ForeignKey, faults: Faults) -> None:
        with self._connection.cursor("broken") as cursor:  # named: it fetches some at a time
            for key in cursor.execute(foreign_key.broken()):
                why = NOT_THERE.format(foreign_key.parent)
                columns = ", ".join(foreign_key.columns)
                faults.add(foreign_key.table, key_of(key), columns, why)
