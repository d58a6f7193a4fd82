"""One table's rows: sent by COPY as they are read, and read back to be compared."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backups.site.move.columns import Column
from backups.site.move.faults import Faults
from backups.site.move.forms import LONGEST_BYTES, NULL, Unfit
from backups.site.move.number_forms import Exact
from backups.site.move.references import key_of
from backups.site.move.source import ENOUGH_BYTES, MANY, Source, SourceTable
from backups.sqlite.format.schema import quote

HASH_BITS = 2**64 - 1
Row = tuple[Any, ...]


@dataclass
class Sum:
    """How many rows, and a number that depends on all of them but not on their order."""

    rows: int = 0
    value: int = 0

    def add(self, lines: Sequence[str] | Sequence[bytes]) -> None:
        self.rows += len(lines)
        self.value = (self.value + sum(map(hash, lines))) & HASH_BITS


class TableMove:
    """The move of one table, whose columns are known."""

    def __init__(
        self, source: Source, table: SourceTable, name: str, columns: Sequence[Column]
    ) -> None:
        """:param name: the table's in PostgreSQL."""
        self._source, self._table, self.name, self._columns = source, table, name, columns
        self._proves = any(each.form.proves for each in columns)
        self._target = quote(name)
        names = [each.source for each in columns]
        extra = [each for each in table.key if each not in names]  # to name a row with
        self._selected = [*names, *extra]
        self._key = [self._selected.index(each) for each in table.key]
        # Always the same words: in others SQLite may take the rows in another order.
        words = ", ".join(map(quote, self._selected))
        self._sql = f"SELECT {words} FROM {quote(table.name)}"  # noqa: S608

    def send(self, connection: Any, faults: Faults, tell: Callable[[int], None]) -> Sum:
        """
        Send all rows. After the first value that does not fit, only look at the rest.

        :param connection: psycopg's, in a transaction.
        :param tell: called with the number of rows of each piece that is done.
        :raises psycopg.Error: PostgreSQL refuses what seemed to fit.
        """
        sent, pieces = Sum(), self._pieces(faults, tell)
        if not faults:
            names = ", ".join(quote(each.target) for each in self._columns)
            sql = f"COPY {self._target} ({names}) FROM STDIN"
            with suppress(_Stop), connection.cursor() as cursor, cursor.copy(sql) as copy:
                for lines, proof in pieces:
                    if faults:
                        raise _Stop
                    copy.write(b"".join(lines))
                    sent.add(proof)
        for _ in pieces:
            pass
        return sent

    def read_back(self, connection: Any, tell: Callable[[int], None]) -> Sum:
        """Read all rows as PostgreSQL has them."""
        cells = [each.form.selected.replace("{}", quote(each.target)) for each in self._columns]
        sql = f"COPY (SELECT {', '.join(cells)} FROM {self._target}) TO STDOUT"  # noqa: S608
        found = Sum()
        with connection.cursor() as cursor, cursor.copy(sql) as copy:
            for lines in _chunks(copy):
                found.add(self._read(lines) if self._proves else lines)
                tell(len(lines))
        return found

    def warnings(self) -> list[str]:
        """What the person who restores must know of the values."""
        return [
            f"{each.form.rounded:,} values of {self.name}.{each.target} had more decimals than the"
            " column has. They are what the site showed for them."
            for each in self._columns
            if isinstance(each.form, Exact) and each.form.rounded
        ]

    def key_of_line(self, number: int) -> object:
        """The key of the row that was sent as this line of COPY, from 1."""
        rows = self._source.query(f"{self._sql} LIMIT 1 OFFSET {number - 1}")
        return self._key_of(rows[0]) if rows else None

    def _pieces(
        self, faults: Faults, tell: Callable[[int], None]
    ) -> Iterator[tuple[list[bytes], list[bytes] | list[str]]]:
        """The lines of COPY, some at a time, and what stands for each in the comparison."""
        large = any(each.can_be_large for each in self._columns)
        for rows in self._source.batches(self._sql, can_be_large=large):
            cells = [
                self._write(column, values, rows, faults)
                for column, values in zip(self._columns, zip(*rows, strict=True), strict=False)
            ]
            data = "\n".join(map("\t".join, zip(*cells, strict=True))) + "\n"
            lines = data.encode("utf-8", "replace").splitlines(keepends=True)
            self._check_lengths(lines, rows, faults)
            yield lines, self._proof(cells) if self._proves and not faults else lines
            tell(len(rows))

    def _write(
        self, column: Column, values: Sequence[Any], rows: Sequence[Row], faults: Faults
    ) -> list[str]:
        """One column of some rows. Notes what does not fit."""
        if column.is_required and None in values:
            for row, value in zip(rows, values, strict=True):
                if value is None:
                    self._note(faults, row, column, "is NULL, and the column is NOT NULL")
        try:
            return column.form.write_all(values)
        except Unfit:
            return [
                self._write_one(column, row, value, faults)
                for row, value in zip(rows, values, strict=True)
            ]

    def _write_one(self, column: Column, row: Row, value: Any, faults: Faults) -> str:
        try:
            return NULL if value is None else column.form.write(value)
        except Unfit as why:
            self._note(faults, row, column, str(why))
            return NULL

    def _note(self, faults: Faults, row: Row, column: Column, why: str) -> None:
        faults.add(self._table.name, self._key_of(row), column.source, why)

    def _key_of(self, row: Row) -> object:
        return key_of([row[each] for each in self._key])

    def _check_lengths(self, lines: Sequence[bytes], rows: Sequence[Row], faults: Faults) -> None:
        if max(map(len, lines)) > LONGEST_BYTES:
            for line, row in zip(lines, rows, strict=True):
                if len(line) > LONGEST_BYTES:
                    why = f"the row takes {len(line):,} bytes, and at most {LONGEST_BYTES:,} fit"
                    faults.add(self._table.name, self._key_of(row), "", why)

    def _proof(self, cells: Sequence[list[str]]) -> list[str]:
        proofs = [
            column.form.prove_all(written) if column.form.proves else written
            for column, written in zip(self._columns, cells, strict=True)
        ]
        return list(map("\t".join, zip(*proofs, strict=True)))

    def _read(self, lines: Sequence[bytes]) -> list[str]:
        columns = zip(*(line.decode()[:-1].split("\t") for line in lines), strict=True)
        cells = [
            [NULL if cell == NULL else column.form.read(cell) for cell in found]
            if column.form.proves
            else found
            for column, found in zip(self._columns, columns, strict=True)
        ]
        return list(map("\t".join, zip(*cells, strict=True)))


class _Stop(Exception):  # noqa: N818
    """Ends a COPY without an error of our own."""


def _chunks(copy: Iterable[Any]) -> Iterator[list[bytes]]:
    """PostgreSQL sends a row at a time. Some together, never more than fit in memory."""
    lines: list[bytes] = []
    size = 0
    for data in copy:
        lines.append(bytes(data))
        size += len(data)
        if size >= ENOUGH_BYTES or len(lines) >= MANY:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines
