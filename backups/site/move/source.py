"""
The SQLite file that the rows come from. It is read only, and nothing in its schema runs.

Text that is not UTF-8 would end a query. Then it is asked again, and the bytes that are none become
half surrogates, which ``forms.is_utf8`` finds.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from sys import getsizeof
from typing import Any

from backups.sqlite.format.connection import connect
from backups.sqlite.format.schema import Schema, fold, quote, read_schema

ROWID_NAMES = ("rowid", "_rowid_", "oid")  # unless a column is called so
FEW = 1  # row at once where one can be large
MANY = 1000
ENOUGH_BYTES = 1024 * 1024  # of rows at once
_HIDDEN, _VIRTUAL, _KEPT = 1, 2, 3  # https://www.sqlite.org/pragma.html#pragma_table_xinfo


@dataclass(frozen=True)
class SourceColumn:
    """A column of a table of the snapshot."""

    name: str
    declared: str  # its type, as it was declared
    is_required: bool  # NOT NULL
    in_key: int  # its place in the primary key, from 1; 0 if it has none
    is_generated: bool


@dataclass(frozen=True)
class SourceTable:
    """A table of the snapshot."""

    name: str
    columns: tuple[SourceColumn, ...]
    rowid: tuple[str, ...]  # what its row number is called; empty if it has none

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns of its primary key; its row number if it has none."""
        named = sorted((each.in_key, each.name) for each in self.columns if each.in_key)
        return tuple(name for _, name in named) or self.rowid


class Source:
    """A connection to the file."""

    def __init__(self, path: Path) -> None:
        sidecar = path.with_name(path.name + "-wal")
        is_alone = not sidecar.exists() or not sidecar.stat().st_size
        self._connection = connect(path, mode="immutable" if is_alone else "ro")
        for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self.schema: Schema = read_schema(self._connection)

    def close(self) -> None:
        self._connection.close()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """A short answer."""
        return self._connection.execute(sql, values).fetchall()

    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """A long one."""
        return iter(self._connection.execute(sql))

    @cached_property
    def tables(self) -> list[SourceTable]:
        """Those with rows of the site: not SQLite's own, and none that a module keeps."""
        own = self.left_out
        return [self._read(name) for name in sorted(self.schema.tables) if name not in own]

    @cached_property
    def left_out(self) -> set[str]:
        """The real tables that are not the site's: SQLite's, and those of virtual tables."""
        own = {name for name in self.schema.tables if fold(name).startswith("sqlite_")}
        return own | set(self.shadows)

    @cached_property
    def shadows(self) -> list[str]:
        """The tables in which virtual ones keep what they have, e.g. a full-text index."""
        virtual = [fold(each.name) for each in self.schema.programs if each.kind == "virtual table"]
        starts = tuple(f"{name}_" for name in virtual)
        return (
            [name for name in self.schema.tables if fold(name).startswith(starts)] if starts else []
        )

    @cached_property
    def sequences(self) -> dict[str, int]:
        """The highest number that each table has given to a row, by the folded name."""
        if "sqlite_sequence" not in self.schema.tables:
            return {}
        rows = self.query("SELECT name, seq FROM sqlite_sequence")
        return {fold(str(name)): seq for name, seq in rows if isinstance(seq, int)}

    def count(self, table: SourceTable) -> int:
        ((count,),) = self.query(f"SELECT count(*) FROM {quote(table.name)}")  # noqa: S608
        return int(count)

    def batches(self, sql: str, *, can_be_large: bool) -> Iterator[list[tuple[Any, ...]]]:
        """
        The rows of a query, some at a time: as many as make a good piece, never more than fit in
        memory.

        :param can_be_large: a column has no limit on its length.
        """
        rows = self._fetch(sql, FEW if can_be_large else MANY)
        batch: list[tuple[Any, ...]] = []
        size = 0
        for some in rows:
            batch += some
            size += sum(map(getsizeof, chain.from_iterable(some)))
            del some  # or a large row would still be here while the next one is fetched
            if size >= ENOUGH_BYTES or len(batch) >= MANY:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _fetch(self, sql: str, at_once: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query. The order stays the same: nothing writes to the file."""
        done = 0
        cursor = self._connection.execute(sql)
        try:
            while some := cursor.fetchmany(at_once):
                done += len(some)
                yield some
                del some
            return
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
        self._connection.text_factory = _text
        try:
            cursor = self._connection.execute(sql)
            for _ in range(done):
                cursor.fetchone()
            while some := cursor.fetchmany(at_once):
                yield some
        finally:
            self._connection.text_factory = str

    def _read(self, name: str) -> SourceTable:
        rows = self.query(f"PRAGMA table_xinfo({quote(name)})")
        columns = tuple(
            SourceColumn(column, declared or "", bool(required), key, hidden in (_VIRTUAL, _KEPT))
            for _, column, declared, required, _, key, hidden in rows
            if hidden != _HIDDEN
        )
        return SourceTable(name, columns, self._rowid(name, columns))

    def _rowid(self, name: str, columns: Sequence[SourceColumn]) -> tuple[str, ...]:
        taken = {fold(each.name) for each in columns}
        for free in [each for each in ROWID_NAMES if each not in taken][:1]:
            try:
                self.query(f"SELECT {free} FROM {quote(name)} LIMIT 0")  # noqa: S608
            except sqlite3.OperationalError:  # WITHOUT ROWID
                return ()
            return (free,)
        return ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
