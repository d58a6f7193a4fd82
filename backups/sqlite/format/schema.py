"""
What a database's schema is made of, by the words of its SQL and not by what a row claims to be.

A *program* is what acts when somebody else queries: a trigger, a view, a virtual table, and a
clause of a table such as ON UPDATE CASCADE. Nothing here runs one: the schema is read as rows.

SQLite writes the first words of each row itself, in one spelling. What begins otherwise was not
written by SQLite, and its parser may take for a program what a pattern takes for nothing: it
skips U+FEFF, and reads a BLOB as text. So such a row is *strange*, and whoever does not trust the
file refuses it.

Source: https://www.sqlite.org/schematab.html (1. Introduction, 3. Interpretation)
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backups.sqlite.format.clauses import find_clauses

QUERY = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master"  # its name before 3.33
HAS_TABLE_LIST = (3, 37)  # https://www.sqlite.org/pragma.html#pragma_table_list
MOST_LETTERS = 120  # of a strange row, in a sentence
_LISTED = {"shadow": "table", "virtual": "virtual table"}  # in our words

# SQLite's own tokens. U+FEFF is white space to it where a token begins, and a letter within one.
_BLANK = r"(?:[\t\n\f\r ]|--[^\n]*\n|/\*.*?\*/)*+"
_BARE = r"(?:[A-Za-z_]|[^\x00-\x7f\ufeff])(?:[A-Za-z0-9_$]|[^\x00-\x7f])*+"
_NAME = rf'("(?:[^"]|"")*+"|\'(?:[^\']|\'\')*+\'|`(?:[^`]|``)*+`|\[[^\]]*+\]|{_BARE})'
_END = r"(?![A-Za-z0-9_$]|[^\x00-\x7f])"
_TIMES = "BEFORE|AFTER|INSTEAD|DELETE|INSERT|UPDATE"

# What a row makes; its type; the first words of its SQL, up to where nothing else can come of it.
_FORMS = tuple(
    (kind, type_, re.compile(words, re.DOTALL))
    for kind, type_, words in (
        ("table", "table", rf"CREATE TABLE {_NAME}{_BLANK}\("),
        ("virtual table", "table", rf"CREATE VIRTUAL TABLE {_NAME}{_BLANK}(?i:USING){_END}"),
        ("view", "view", rf"CREATE VIEW {_NAME}{_BLANK}(?:(?i:AS){_END}|\()"),
        ("trigger", "trigger", rf"CREATE TRIGGER {_NAME}{_BLANK}(?i:{_TIMES}){_END}"),
        (
            "index",
            "index",
            rf"CREATE(?: UNIQUE)? INDEX {_NAME}{_BLANK}(?i:ON){_END}{_BLANK}{_NAME}{_BLANK}\(",
        ),
    )
)
_VIRTUAL, _KEPT = (
    2,
    3,
)  # generated columns, by https://www.sqlite.org/pragma.html#pragma_table_xinfo
_STORED = ("table", "index")  # these have a root page
_SCHEMA_PAGE = 1  # where the schema itself is
# Tables of SQLite itself, in its own words. It reads the statistics when a connection looks at the
# schema for the first time: a column that is computed there runs before any query, also of an undo.
_OWN = {
    "sqlite_sequence": "(name,seq)",
    "sqlite_stat1": "(tbl,idx,stat)",
    "sqlite_stat2": "(tbl,idx,sampleno,sample)",
    "sqlite_stat3": "(tbl,idx,neq,nlt,ndlt,sample)",
    "sqlite_stat4": "(tbl,idx,neq,nlt,ndlt,sample)",
}
_AUTOMATIC = "automatic index"  # of a PRIMARY KEY or UNIQUE: a row without SQL


@dataclass(frozen=True, order=True)
class Program:
    """A trigger, view, virtual table or clause. Equal if kind, name and SQL are equal."""

    kind: str  # "trigger", "view", "virtual table", or "clause": ON DELETE CASCADE of a table
    name: str
    sql: str

    @property
    def is_relation(self) -> bool:
        """Whether it can be read like a table."""
        return self.kind in ("view", "virtual table")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass
class Schema:
    """What the rows of ``sqlite_schema`` make."""

    tables: dict[str, str] = field(default_factory=dict)  # real ones: name to SQL
    indexes: dict[str, list[str]] = field(default_factory=dict)  # table to the SQL of each
    programs: list[Program] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)  # rows not written as SQLite writes them


def read_schema(connection: sqlite3.Connection) -> Schema:
    """
    Read the schema of a database. A view with a table's name is not a table, nor is anything
    without its own page in the file.

    :raises sqlite3.Error: SQLite can't read it.
    """
    return sort_out(connection.execute(QUERY))


def sort_out(rows: Iterable[tuple[object, object, object, object, object]]) -> Schema:
    """Tell tables from programs. The rows are those of ``QUERY``."""
    schema = Schema()
    for row in rows:
        kind = _kind(*row)
        _, name, table, _, sql = row
        if not kind:
            schema.strange.append(_describe(*row))
        elif kind == "table":
            schema.tables[str(name)] = str(sql)
            schema.programs += [
                Program("clause", f"{name}: {words}", definition)
                for words, definition in find_clauses(str(sql))
            ]
        elif kind == "index":
            schema.indexes.setdefault(str(table), []).append(str(sql))
        elif kind != _AUTOMATIC:
            schema.programs.append(Program(kind, str(name), str(sql)))
    return schema


def find_strange(connection: sqlite3.Connection, schema: Schema) -> list[str]:
    """
    Sentences about rows that SQLite has not written so; if there are none, about what it takes for
    something else than the rows say. A file that has any is refused.

    :raises sqlite3.Error: SQLite can't read the schema.
    """
    contradiction = "" if schema.strange else find_contradiction(connection, schema)
    return [*schema.strange, *([contradiction] if contradiction else [])]


def find_contradiction(connection: sqlite3.Connection, schema: Schema) -> str:
    """
    Compare what SQLite itself has made of the rows with what they were taken for here. It lists
    no triggers.

    :returns: a sentence about the first that is not the same; empty if there is none, or if this
        SQLite is too old to list what it has made.
    :raises sqlite3.Error: SQLite can't read the schema.
    """
    if sqlite3.sqlite_version_info < HAS_TABLE_LIST:
        return ""
    taken = {each.name: each.kind for each in schema.programs if each.is_relation}
    taken |= dict.fromkeys(schema.tables, "table")
    made = {
        name: _LISTED.get(kind, kind)
        for of, name, kind, *_ in connection.execute("PRAGMA table_list")
        if of == "main" and name not in ("sqlite_schema", "sqlite_master")
    }
    for name in sorted({*made, *taken}):
        if made.get(name) != taken.get(name):
            return f"{name} is a {made.get(name, 'nothing')} to SQLite, not a {taken.get(name)}"
    return ""


@dataclass(frozen=True)
class Columns:
    """What a table has, by ``PRAGMA table_xinfo``. Names are folded."""

    names: list[str]  # generated ones too
    generated: list[str]  # GENERATED ALWAYS AS (…): stored or not
    virtual: list[str]  # those that are computed at each look, as the table calls them


def read_columns(rows: Iterable[Sequence[Any]]) -> Columns:
    """Tell columns apart. The rows are those of the pragma: the last cell of each is ``hidden``."""
    cells = [(str(row[1]), row[-1]) for row in rows]
    return Columns(
        names=[fold(name) for name, _ in cells],
        generated=[fold(name) for name, hidden in cells if hidden in (_VIRTUAL, _KEPT)],
        virtual=[name for name, hidden in cells if hidden == _VIRTUAL],
    )


def fold(name: str) -> str:
    """A name as SQLite compares it: without regard to case, of ASCII letters only."""
    return name.encode("utf-8", "replace").lower().decode()


def quote(name: str) -> str:
    """A name as a word of SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _kind(type_: object, name: object, table: object, rootpage: object, sql: object) -> str:
    """What a row makes; empty if it is not as SQLite writes it."""
    if not isinstance(name, str) or not isinstance(table, str) or not isinstance(rootpage, int):
        return ""
    if sql is None:
        is_one = type_ == "index" and _is_automatic(name, table) and rootpage > _SCHEMA_PAGE
        is_one = is_one and not _is_reserved(table)
        return _AUTOMATIC if is_one else ""
    if not isinstance(sql, str) or "\0" in sql:
        return ""
    if _is_reserved(name) or _is_reserved(table):  # SQLite makes no index on its own tables
        is_own = type_ == "table" and name == table and rootpage > _SCHEMA_PAGE
        return "table" if is_own and sql == f"CREATE TABLE {name}{_OWN.get(name)}" else ""
    for kind, of_type, words in _FORMS:
        if type_ == of_type and (match := words.match(sql)):
            called = [fold(_unquote(each)) for each in match.groups()]
            has_page = rootpage > _SCHEMA_PAGE if kind in _STORED else rootpage == 0
            if has_page and called == _called(kind, name, table):
                return kind
    return ""


def _called(kind: str, name: str, table: str) -> list[str] | None:
    """The names that the SQL must give; None if the row itself does not agree."""
    if kind == "index":
        return [fold(name), fold(table)]
    return [fold(name)] if kind == "trigger" or name == table else None


def _is_automatic(name: str, table: str) -> bool:
    start = f"sqlite_autoindex_{table}_"
    return name.startswith(start) and name[len(start) :].isdecimal()


def _is_reserved(name: str) -> bool:
    return fold(name).startswith("sqlite_")


def _unquote(name: str) -> str:
    first, last = name[0], name[-1]
    if first == "[":
        return name[1:-1]
    return name[1:-1].replace(last * 2, last) if first in "\"'`" else name


def _describe(type_: object, name: object, _: object, __: object, sql: object) -> str:
    what = f"{type_} {name}" if isinstance(name, str) else f"{type_}"
    words = f"{sql!r:.{MOST_LETTERS}}"
    return f"the schema has a {what} that is not written as SQLite writes it: {words}"
