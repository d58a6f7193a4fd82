"""
The PostgreSQL database that the rows go to: its tables and columns, as its catalog has them.

SQL that the site's settings or a snapshot have no part in goes through psycopg itself: Django's
cursor would read a percent sign in a name as a parameter.

Source: https://www.postgresql.org/docs/current/catalogs.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.backends.utils import truncate_name

from backups.sqlite.format.schema import fold

LONGEST_NAME = 63  # bytes
HEADER = 4  # bytes that a type's modifier counts besides its length

COLUMNS = """
SELECT c.relname, a.attname, coalesce(b.typname, t.typname),
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attgenerated <> '', a.atttypid::bigint
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')
ORDER BY c.relname, a.attnum
"""


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table of PostgreSQL."""

    name: str
    type: str  # as pg_type calls it: int4, varchar, timestamptz
    modifier: int  # the type's; -1 without one
    is_required: bool
    is_generated: bool
    type_oid: int

    @property
    def length(self) -> int | None:
        """Of ``varchar(n)``."""
        return None if self.modifier < 0 else self.modifier - HEADER

    @property
    def digits(self) -> tuple[int, int] | None:
        """The precision and the scale of ``numeric(precision, scale)``."""
        if self.modifier < 0:
            return None
        both = self.modifier - HEADER
        return both >> 16, ((both & 0x7FF) ^ 1024) - 1024


Tables = Mapping[str, Mapping[str, TargetColumn]]


def read_tables(connection: Any) -> Tables:
    """
    Every table of the site by its name, with its columns by theirs.

    :param connection: psycopg's.
    """
    tables: dict[str, dict[str, TargetColumn]] = {}
    for table, name, *rest in connection.execute(COLUMNS).fetchall():
        tables.setdefault(table, {})[name] = TargetColumn(name, *rest)
    return tables


def match(name: str, names: Mapping[str, object]) -> str | None:
    """
    What a table or column of SQLite is called in PostgreSQL: the same, in another case, or cut as
    Django or PostgreSQL itself cuts a name that is too long. None if it is not there.
    """
    cut = name.encode("utf-8", "surrogateescape")[:LONGEST_NAME].decode("utf-8", "ignore")
    for each in (name, truncate_name(name, LONGEST_NAME), cut):
        if each in names:
            return each
    folded = [each for each in names if fold(each) == fold(name)]
    return folded[0] if len(folded) == 1 else None
