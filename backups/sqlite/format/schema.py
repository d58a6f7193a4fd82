"""
What a database's schema contains, by the words of its SQL and not by what a row claims to be.

A *program* runs as part of other statements: a trigger, a view, a virtual table, or a clause of a
table such as ON UPDATE CASCADE. Nothing here runs one: the schema is read as rows.

SQLite writes the first words of each row itself, always in one spelling. A row that begins in
another way is *strange*: SQLite did not write it, and may see a program where a pattern sees none,
since its parser skips U+FEFF and reads a BLOB as text. Refuse an untrusted file with such a row.

Source: https://www.sqlite.org/schematab.html (1. Introduction, 3. Interpretation)
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backups.sqlite.format.clauses import find_clauses

QUERY = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master"  # the name before 3.33
HAS_TABLE_LIST = (3, 37)  # https://www.sqlite.org/pragma.html#pragma_table_list
MOST_LETTERS = 120  # of a strange row, in a sentence
_LISTED = {"shadow": "table", "virtual": "virtual table"}  # a kind in table_list: our word

# SQLite's tokens. It reads U+FEFF as white space between tokens, and as a letter within one.
_BLANK = r"(?:[\t\n\f\r ]|--[^\n]*\n|/\*.*?\*/)*+"
_BARE = r"(?:[A-Za-z_]|[^\x00-\x7f\ufeff])(?:[A-Za-z0-9_$]|[^\x00-\x7f])*+"
_NAME = rf'("(?:[^"]|"")*+"|\'(?:[^\']|\'\')*+\'|`(?:[^`]|``)*+`|\[[^\]]*+\]|{_BARE})'
_END = r"(?![A-Za-z0-9_$]|[^\x00-\x7f])"
_ON = rf"{_BLANK}(?i:ON){_END}{_BLANK}"
_TIMES = "BEFORE|AFTER|INSTEAD|DELETE|INSERT|UPDATE"

# What a row makes; its type; as many of the first words of its SQL as decide that.
_FORMS = tuple(
    (kind, type_, re.compile(words, re.DOTALL))
    for kind, type_, words in (
        ("table", "table", rf"CREATE TABLE {_NAME}{_BLANK}\("),
        ("virtual table", "table", rf"CREATE VIRTUAL TABLE {_NAME}{_BLANK}(?i:USING){_END}"),
        ("view", "view", rf"CREATE VIEW {_NAME}{_BLANK}(?:(?i:AS){_END}|\()"),
        ("trigger", "trigger", rf"CREATE TRIGGER {_NAME}{_BLANK}(?i:{_TIMES}){_END}"),
        ("index", "index", rf"CREATE(?: UNIQUE)? INDEX {_NAME}{_ON}{_NAME}{_BLANK}\("),
    )
)
# Generated columns, by https://www.sqlite.org/pragma.html#pragma_table_xinfo
_VIRTUAL, _KEPT = 2, 3
_STORED = ("table", "index")  # these have a root page
_SCHEMA_PAGE = 1  # the root page of the schema itself
# SQLite's internal tables, as SQLite writes them. It reads the statistics when a connection first
# loads the schema: a computed column there would run before any query, even in an undo.
_OWN = {
    "sqlite_sequence": "(name,seq)",
    "sqlite_stat1": "(tbl,idx,stat)",
    "sqlite_stat2": "(tbl,idx,sampleno,sample)",
    "sqlite_stat3": "(tbl,idx,neq,nlt,ndlt,sample)",
    "sqlite_stat4": "(tbl,idx,neq,nlt,ndlt,sample)",
}
_AUTOMATIC = "automatic index"  # for a PRIMARY KEY or UNIQUE: a row without SQL


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
    strange: list[str] = field(default_factory=list)  # sentences about rows SQLite did not write


def read_schema(connection: sqlite3.Connection) -> Schema:
    """
    Read a database's schema. Only what has its own page in the file is a table.

    :raises sqlite3.Error: SQLite can't read it.
    """
    return sort_out(connection.execute(QUERY))


def sort_out(rows: Iterable[tuple[object, object, object, object, object]]) -> Schema:
    """Tell tables from programs. The rows are the result of ``QUERY``."""
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
    Describe rows that SQLite did not write or, if there are none, one that it reads in another
    way than this module. Refuse an untrusted file that has any.

    :raises sqlite3.Error: SQLite can't read the schema.
    """
    found = schema.strange or [find_contradiction(connection, schema)]
    return [each for each in found if each]


def find_contradiction(connection: sqlite3.Connection, schema: Schema) -> str:
    """
    Compare tables and views in ``schema`` with what SQLite lists. It does not list triggers.

    :returns: a sentence about the first that differs; empty if none does, or if this SQLite is
        too old to list them.
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
    """A table's columns, by ``PRAGMA table_xinfo``. Names are folded, except in ``virtual``."""

    names: list[str]  # generated ones too
    generated: list[str]  # GENERATED ALWAYS AS (…), STORED or VIRTUAL
    virtual: list[str]  # those computed at each read, as the table spells them


def read_columns(rows: Iterable[Sequence[Any]]) -> Columns:
    """Sort the rows of the pragma; the last cell of each is ``hidden``."""
    cells = [(str(row[1]), row[-1]) for row in rows]
    return Columns(
        names=[fold(name) for name, _ in cells],
        generated=[fold(name) for name, hidden in cells if hidden in (_VIRTUAL, _KEPT)],
        virtual=[name for name, hidden in cells if hidden == _VIRTUAL],
    )


def fold(name: str) -> str:
    """A name as SQLite compares it: the case of ASCII letters does not matter."""
    return name.encode("utf-8", "replace").lower().decode()


def quote(name: str) -> str:
    """Any name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _kind(type_: object, name: object, table: object, rootpage: object, sql: object) -> str:
    """What a row makes; empty if SQLite would not write it so."""
    if not isinstance(name, str) or not isinstance(table, str) or not isinstance(rootpage, int):
        return ""
    if sql is None:
        is_index = type_ == "index" and rootpage > _SCHEMA_PAGE and not _is_reserved(table)
        return _AUTOMATIC if is_index and _is_automatic(name, table) else ""
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
    """The names that the SQL must give; None if those of the row disagree."""
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
