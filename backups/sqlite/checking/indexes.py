"""
Compare an index with its table, row by row, as ``integrity_check`` does.

For each row, SQLite searches for its entry where the index must have it. If it finds one for each
row, and the index has no other entries, then the index holds what the table holds, in order: an
entry out of order is not found, or hides another one.

``integrity_check`` reads a table once, and for each row it searches all of its indexes. Their pages
push each other out of the cache. One index at a time takes about half of the time if the rows are
in no order, and not less if the indexes have the order of the table; but then several processes can
share them.

A result counts only if ``EXPLAIN QUERY PLAN`` says that SQLite runs the statement as we mean it: it
reads the whole table, not another index instead, and searches this index for its whole key.

Sources: https://www.sqlite.org/pragma.html#pragma_integrity_check,
https://www.sqlite.org/lang_indexedby.html, https://www.sqlite.org/eqp.html
"""

import sqlite3
from dataclasses import dataclass
from itertools import chain
from typing import Any

from backups.sqlite.checking.plans import is_planned, read_plan
from backups.sqlite.format.definitions import Definition, read_definition
from backups.sqlite.format.schema import fold, quote

ROWIDS = ("rowid", "_rowid_", "oid")  # https://www.sqlite.org/lang_createtable.html#rowid
MOST_COLUMNS = 64  # of an index, with the rowid: for 400, SQLite plans for a tenth of a second
NOT_TEXT = {"\0", "\ufffd"}  # bytes that are not UTF-8 are read as the second
_ROWID, _EXPRESSION = -1, -2  # column numbers in PRAGMA index_xinfo


class UnclearError(Exception):
    """No statement can compare this index so that its result counts."""


@dataclass(frozen=True)
class Index:
    """One index, with the statements that compare it; each returns a number."""

    name: str
    rows: str  # how many rows of the table belong in it
    found: str  # how many of them have their entry where it must be
    entries: str  # how many entries it has
    doubled: str  # of a UNIQUE index, 1 if a key is there twice; empty for others

    def find_doubt(self, connection: sqlite3.Connection, counted: dict[str, int]) -> str:
        """
        Return what seems to be wrong; empty if nothing does. ``integrity_check`` must decide.

        :param counted: results of ``rows`` of all indexes, by statement; adds what it lacks.
        :raises sqlite3.Error: SQLite can't go on.
        """
        if self.rows not in counted:
            counted[self.rows] = _number(connection, self.rows)
        rows = counted[self.rows]
        if _number(connection, self.found) != rows:
            return f"rows are missing from index {self.name}"
        if _number(connection, self.entries) != rows:
            return f"index {self.name} has a wrong number of entries"
        if self.doubled and _number(connection, self.doubled):
            return f"index {self.name} has a key twice"
        return ""


@dataclass(frozen=True)
class _Shape:
    """What an index holds of its table, as SQL."""

    table: str
    name: str
    keys: list[str]  # the indexed columns and expressions
    shown: list[str]  # the same, as EXPLAIN QUERY PLAN shows them
    collations: list[str]  # of the keys
    rowid: str  # which follows the keys in each entry
    where: list[str]  # one condition for a partial index, else none
    can_be_null: bool  # whether a key can contain NULL

    @property
    def is_binary(self) -> bool:
        """Whether two keys that the index calls equal are always the same values."""
        return all(fold(collation) == "binary" for collation in self.collations)


def read_indexes(connection: sqlite3.Connection, table: str) -> list[Index]:
    """
    Return the indexes of a table with rowids.

    :raises UnclearError: one of them can't be compared so that the result counts.
    :raises sqlite3.Error: the schema needs a function or a collation that this connection lacks.
    """
    listed = connection.execute(f"PRAGMA index_list({quote(table)})").fetchall()
    of_table = (
        connection.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall() if listed else []
    )
    return [
        _index(connection, _shape(connection, table, of_table, name), is_unique=bool(is_unique))
        for _, name, is_unique, *_ in listed
    ]


def _shape(
    connection: sqlite3.Connection, table: str, of_table: list[tuple[Any, ...]], name: str
) -> _Shape:
    columns = connection.execute(f"PRAGMA index_xinfo({quote(name)})").fetchall()
    if len(columns) > MOST_COLUMNS:
        raise UnclearError("an index has so many columns that planning takes longer than comparing")
    definition = _definition(connection, name)
    words = (name, *definition.items, definition.where, *map(str, chain(*columns)))
    if any(set(each) & NOT_TEXT for each in words):
        raise UnclearError("a name or an expression of an index is not text")
    taken = {fold(str(each[1])) for each in of_table}
    filled = {str(each[1]) for each in of_table if each[3]}  # NOT NULL
    *keys, rowid = [_column(definition, taken, *each[:3]) for each in columns]
    *shown, _ = ["<expr>" if each[1] == _EXPRESSION else str(each[2]) for each in columns]
    *collations, _ = [str(each[4]) for each in columns]
    where = [f"({definition.where}\n)"] if definition.where else []
    types = {str(each[1]): str(each[2]) for each in of_table}
    if any(_is_real(types.get(str(each[2]), "")) for each in columns):
        raise UnclearError("SQLite can store a REAL as an integer, which no query shows")
    can_be_null = bool({str(each[2]) for each in columns if each[5]}.difference(filled))
    return _Shape(table, name, keys, shown, collations, rowid, where, can_be_null)


def _is_real(declared: str) -> bool:
    """Whether the affinity is REAL, by https://www.sqlite.org/datatype3.html, 3.1."""
    words = declared.upper()
    is_other = any(each in words for each in ("INT", "CHAR", "CLOB", "TEXT", "BLOB"))
    return not is_other and any(each in words for each in ("REAL", "FLOA", "DOUB"))


def _definition(connection: sqlite3.Connection, name: str) -> Definition:
    query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?"
    row = connection.execute(query, (name,)).fetchone()
    try:
        return read_definition(row[0]) if row and row[0] else Definition([], "")
    except ValueError as error:
        raise UnclearError(str(error)) from error


def _column(
    definition: Definition, taken: set[str], position: int, number: int, name: str | None
) -> str:
    """One column of an index: its name, its expression, or a free name of the rowid."""
    if number == _EXPRESSION:
        if position >= len(definition.items):
            raise UnclearError("an expression of an index is not in its SQL")
        return f"({definition.items[position]}\n)"
    if number != _ROWID:
        return quote(str(name))
    if free := [each for each in ROWIDS if each not in taken]:
        return free[0]
    raise UnclearError("all names of the rowid are names of columns")


def _index(connection: sqlite3.Connection, shape: _Shape, *, is_unique: bool) -> Index:
    where = f" WHERE {shape.where[0]}" if shape.where else ""
    of_table, of_index = f"{quote(shape.table)} NOT INDEXED", _of_index(shape)
    index = Index(
        shape.name,
        rows=f"SELECT count(*) FROM {of_table}{where}",  # noqa: S608
        found=_found(shape, f"{of_table}{where}", f"{of_index}{where}"),
        # SQLite may count count(*) in any index, but not count(1).
        entries=f"SELECT count(1) FROM {of_index}{where}",  # noqa: S608
        doubled=_doubled(shape) if is_unique else "",
    )
    scan = f"SCAN {shape.table}"
    uses = [f"USING {kind}INDEX {shape.name}" for kind in ("COVERING ", "")]
    is_as_meant = (
        is_planned(connection, index.rows, [scan])
        and is_planned(connection, index.found, [scan], _searches(shape, uses, is_unique=is_unique))
        and is_planned(connection, index.entries, [f"{scan} {use}" for use in uses])
        and (not index.doubled or len(read_plan(connection, index.doubled)) == 1)  # sorts nothing
    )
    if not is_as_meant:
        raise UnclearError("SQLite would compare an index in another way")
    return index


def _searches(shape: _Shape, uses: list[str], *, is_unique: bool) -> list[str]:
    """The steps that mean: SQLite searches the index for its whole key."""
    # If equal keys can differ, the index itself must give the values that we compare.
    uses = uses if shape.is_binary else uses[:1]
    keys = [[*shape.shown, "rowid"]]
    if is_unique and not shape.can_be_null:  # a key is there once: the plan may leave out the rowid
        keys.append(shape.shown)
    terms = [" AND ".join(f"{name}=?" for name in key) for key in keys]
    return [f"SEARCH {shape.table} {use} ({each})" for use in uses for each in terms]


def _of_index(shape: _Shape) -> str:
    return f"{quote(shape.table)} INDEXED BY {quote(shape.name)}"


def _found(shape: _Shape, of_table: str, of_index: str) -> str:
    """Join the table with the index on its whole key."""
    names = [f"{key} AS k{number}" for number, key in enumerate(shape.keys)]
    columns = ", ".join([*names, f"{shape.rowid} AS r"])
    conditions = [
        f"b.k{number} COLLATE {quote(collation)} IS a.k{number}"
        for number, collation in enumerate(shape.collations)
    ]
    if not shape.is_binary:  # values that the collation calls equal can differ
        conditions += [f"b.k{n} COLLATE BINARY IS a.k{n}" for n in range(len(shape.keys))]
    # The second condition reads the rowid from the end of the entry, as queries do.
    conditions += ["b.r = a.r", "+b.r = a.r"]
    return (
        f"SELECT count(*) FROM (SELECT {columns} FROM {of_table}) AS a"  # noqa: S608
        f" CROSS JOIN (SELECT {columns} FROM {of_index}) AS b ON {' AND '.join(conditions)}"
    )


def _doubled(shape: _Shape) -> str:
    """Find equal neighbours. A key that contains NULL is not equal to any other."""
    conditions = " AND ".join([*shape.where, *(f"{key} IS NOT NULL" for key in shape.keys)])
    keys = ", ".join(
        f"{key} COLLATE {quote(collation)}"
        for key, collation in zip(shape.keys, shape.collations, strict=True)
    )
    return (
        f"SELECT 1 FROM {_of_index(shape)} WHERE {conditions}"  # noqa: S608
        f" GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
    )


def _number(connection: sqlite3.Connection, statement: str) -> int:
    (number,) = connection.execute(statement).fetchone() or (0,)
    return int(number)
