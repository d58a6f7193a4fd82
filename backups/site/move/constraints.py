"""
What PostgreSQL would do at each row, and must not do before all rows are there: foreign keys, whose
rows can come in any order, and triggers, which would write rows of their own.

The foreign keys are made again in the same words, at the end, which checks all rows at once. The
site's role owns the tables; it needs no right besides.
"""

from typing import Any

import psycopg

from backups.site.move.faults import Faults
from backups.site.move.refusals import words_of
from backups.sqlite.format.schema import quote

FOREIGN_KEYS = """
SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.connamespace = current_schema()::regnamespace
ORDER BY c.oid
"""
TRIGGERS = """
SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relnamespace = current_schema()::regnamespace
"""
ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


class PutOff:
    """The foreign keys and triggers of a database, off until ``put_back``."""

    def __init__(self, connection: Any) -> None:
        """:param connection: psycopg's, in a transaction."""
        self._connection = connection
        self._foreign_keys = connection.execute(FOREIGN_KEYS).fetchall()
        self._triggers = connection.execute(TRIGGERS).fetchall()
        for table, name, _ in self._foreign_keys:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quote(name)}")
        for table, name, _ in self._triggers:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {quote(name)}")

    def put_back(self, faults: Faults) -> None:
        """Check all rows. Notes each foreign key that a row breaks."""
        for table, name, definition in self._foreign_keys:
            sql = f"ALTER TABLE {table} ADD CONSTRAINT {quote(name)} {definition}"
            try:
                with self._connection.transaction():
                    self._connection.execute(sql)
            except psycopg.IntegrityError as error:
                faults.add(table, None, "", words_of(error))
        for table, name, kind in self._triggers:
            self._connection.execute(f"ALTER TABLE {table} {ENABLE[kind]} TRIGGER {quote(name)}")
