"""The number that the next new row gets: after all that are there, and all that SQLite gave."""

from collections.abc import Mapping
from typing import Any

from backups.site.move.faults import Faults
from backups.sqlite.format.schema import quote

# Those that belong to a column: of an identity, or of a serial type.
SEQUENCES = """
SELECT s.oid::regclass::text, c.relname, a.attname, q.seqmax
FROM pg_class s
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace AND q.seqincrement > 0
"""


def set_sequences(connection: Any, given: Mapping[str, int], faults: Faults) -> None:
    """
    Set each, and note those that can't go so far.

    :param connection: psycopg's.
    :param given: by the table's name in PostgreSQL, the highest number that SQLite gave.
    """
    for sequence, table, column, most in connection.execute(SEQUENCES).fetchall():
        sql = f"SELECT coalesce(max({quote(column)}), 0) FROM {quote(table)}"  # noqa: S608
        ((highest,),) = connection.execute(sql).fetchall()
        number = max(highest, given.get(table, 0))
        if number > most:
            why = f"{number} is the last number that SQLite gave, and at most {most} can be given"
            faults.add(table, None, column, why)
        elif number > 0:
            connection.execute("SELECT setval(%s::regclass, %s)", [sequence, number])
