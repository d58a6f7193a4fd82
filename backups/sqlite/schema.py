"""
What a database's schema is made of, by the words of its SQL and not by what a row claims to be.

A *program* is what acts when somebody else queries: a trigger, a view, a virtual table. Nothing
here runs one: the schema is read as rows.

Source: https://www.sqlite.org/schematab.html
"""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

_SPACE = r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/|--[^\n]*(?:\n|$))"
_CREATE = re.compile(
    rf"{_SPACE}*CREATE{_SPACE}+(?:TEMP(?:ORARY)?{_SPACE}+)?(?:UNIQUE{_SPACE}+)?"
    r"(TABLE|INDEX|VIEW|TRIGGER|VIRTUAL)\b",
    re.IGNORECASE | re.ASCII,
)
_PROGRAMS = {"trigger": "trigger", "view": "view", "virtual": "virtual table"}
QUERY = "SELECT name, tbl_name, rootpage, sql FROM sqlite_master"  # its name before SQLite 3.33


@dataclass(frozen=True, order=True)
class Program:
    """A trigger, view or virtual table. Equal if kind, name and SQL are equal."""

    kind: str  # "trigger", "view" or "virtual table"
    name: str
    sql: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass
class Schema:
    """What the rows of ``sqlite_schema`` make."""

    tables: dict[str, str] = field(default_factory=dict)  # real ones: name to SQL
    indexes: dict[str, list[str]] = field(default_factory=dict)  # table to the SQL of each
    programs: list[Program] = field(default_factory=list)


def read_schema(connection: sqlite3.Connection) -> Schema:
    """
    Read the schema of a database. A view with a table's name is not a table, nor is anything
    without its own page in the file.

    :raises sqlite3.Error: SQLite can't read it.
    """
    return sort_out(connection.execute(QUERY))


def sort_out(rows: Iterable[tuple[object, object, object, object]]) -> Schema:
    """Tell tables from programs. The rows are those of ``QUERY``."""
    schema = Schema()
    for name, table, rootpage, sql in rows:
        kind = _kind(str(sql))
        if kind in _PROGRAMS:
            schema.programs.append(Program(_PROGRAMS[kind], str(name), str(sql)))
        elif kind == "table" and isinstance(rootpage, int) and rootpage > 0:
            schema.tables[str(name)] = str(sql)
        elif kind == "index":
            schema.indexes.setdefault(str(table), []).append(str(sql))
    return schema


def fold(name: str) -> str:
    """A name as SQLite compares it: without regard to case, of ASCII letters only."""
    return name.encode("utf-8", "replace").lower().decode()


def quote(name: str) -> str:
    """A name as a word of SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _kind(sql: str) -> str:
    match = _CREATE.match(sql)
    return match[1].lower() if match else ""
