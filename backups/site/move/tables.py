"""One table's rows: sent by COPY as they are read, and read back to be compared."""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from backups.site.move.columns import Column
from backups.site.move.faults import Faults
from backups.site.move.forms import LONGEST_BYTES, NULL, Unfit
from backups.site.move.number_forms import Exact
from backups.site.move.references import key_of
from backups.site.move.refusals import is_of_the_server, words_of
from backups.site.move.source import ENOUGH_BYTES, MANY, Source, SourceTable
from backups.sqlite.format.schema import quote

HASH_BITS = 2**64 - 1
MOST_REFUSED = 1000  # rows of a table, which are found one by one
Row = tuple[Any, ...]
Misfit = tuple[int, str, str]  # which row of a piece, the column, and why


@dataclass
class Sum:
    """How many rows, and a number that depends on all of them but not on their order."""

    rows: int = 0
    value: int = 0

    def add(self, proofs: Sequence[Hashable]) -> None:
        self.rows += len(proofs)
        self.value = (self.value + sum(map(hash, proofs))) & HASH_BITS


@dataclass
class Piece:
    """Some rows."""

    rows: Sequence[Row]
    lines: Sequence[bytes]  # of COPY
    proofs: Sequence[Hashable]  # what stands for each in the comparison
    misfits: list[Misfit]


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

    def count(self) -> int:
        """How many rows there are."""
        return self._source.count(self._table)

    def send(self, connection: Any, faults: Faults, tell: Callable[[int], None]) -> Sum:
        """
        Send all rows. If PostgreSQL can't hold one of them, note each that it can't hold.

        :param connection: psycopg's, in a transaction.
        :param tell: called with the number of rows of each piece that is done.
        :raises psycopg.Error: the server fails.
        """
        sent, before = Sum(), faults.count
        why = self._send_all(connection, sent, tell)
        if why is not None:
            self._find(connection, faults, sent.rows, tell)
            if faults.count == before:  # each row by itself is fine
                faults.add(self._table.name, None, "", why)
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
                del lines
        return found

    def warnings(self) -> list[str]:
        """What the person who restores must know of the values."""
        return [
            f"{each.form.rounded:,} values of {self.name}.{each.target} had more decimals than the"
            " column has. They are what the site showed for them."
            for each in self._columns
            if isinstance(each.form, Exact) and each.form.rounded
        ]

    def _copy(self, connection: Any, lines: Iterable[bytes]) -> None:
        names = ", ".join(quote(each.target) for each in self._columns)
        sql = f"COPY {self._target} ({names}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(sql) as copy:
            for data in lines:
                copy.write(data)

    def _send_all(self, connection: Any, sent: Sum, tell: Callable[[int], None]) -> str | None:
        """Returns why it did not, if it is not the server's fault."""
        try:
            with connection.transaction(), closing(self._fit_lines(sent, tell)) as lines:
                self._copy(connection, lines)
        except Unfit as why:
            return str(why)
        except psycopg.Error as error:
            if is_of_the_server(error):
                raise
            return words_of(error)
        return None

    def _fit_lines(self, sent: Sum, tell: Callable[[int], None]) -> Generator[bytes]:
        with closing(self._pieces()) as pieces:  # the file can be read again
            for piece in pieces:
                if piece.misfits:
                    raise Unfit(piece.misfits[0][2])
                yield b"".join(piece.lines)
                sent.add(piece.proofs)
                tell(len(piece.rows))
                del piece  # or a large row would still be here while the next one is read

    def _find(
        self, connection: Any, faults: Faults, told: int, tell: Callable[[int], None]
    ) -> None:
        """
        Look at every row from the first: at what its values are, and at what PostgreSQL says.

        :param told: of how many rows ``tell`` knows.
        """
        refused = 0
        for piece in self._pieces():
            for number, column, why in piece.misfits:
                faults.add(self._table.name, self._key_of(piece.rows[number]), column, why)
            unfit = {number for number, *_ in piece.misfits}
            fit = [number for number in range(len(piece.rows)) if number not in unfit]
            if refused < MOST_REFUSED:
                refused += self._try(connection, piece, fit, faults)
                if refused >= MOST_REFUSED:
                    why = f"PostgreSQL refused {refused:,} rows; it was not asked of the others"
                    faults.add(self._table.name, None, "", why)
            told -= len(piece.rows)
            if told < 0:
                tell(-told)
                told = 0

    def _try(self, connection: Any, piece: Piece, numbers: Sequence[int], faults: Faults) -> int:
        """Send some rows of a piece, but those that PostgreSQL refuses. How many these are."""
        try:
            with connection.transaction():
                self._copy(connection, [piece.lines[number] for number in numbers])
        except psycopg.Error as error:
            if is_of_the_server(error):
                raise
            if len(numbers) == 1:
                key = self._key_of(piece.rows[numbers[0]])
                faults.add(self._table.name, key, error.diag.column_name or "", words_of(error))
                return 1
            half = len(numbers) // 2
            first = self._try(connection, piece, numbers[:half], faults)
            return first + self._try(connection, piece, numbers[half:], faults)
        return 0

    def _pieces(self) -> Generator[Piece]:
        large = any(each.can_be_large for each in self._columns)
        for rows in self._source.batches(self._sql, can_be_large=large):
            yield self._piece(rows)
            del rows

    def _piece(self, rows: Sequence[Row]) -> Piece:
        misfits: list[Misfit] = []
        cells = [
            self._write(column, values, misfits)
            for column, values in zip(self._columns, zip(*rows, strict=True), strict=False)
        ]
        lines = _encode(cells)
        self._check_lengths(lines, misfits)
        proofs = self._proofs(cells) if self._proves and not misfits else lines
        return Piece(rows, lines, proofs, misfits)

    def _write(self, column: Column, values: Sequence[Any], misfits: list[Misfit]) -> list[str]:
        """One column of some rows. Notes what does not fit."""
        if column.is_required and None in values:
            misfits += [
                (number, column.source, "is NULL, and the column is NOT NULL")
                for number, value in enumerate(values)
                if value is None
            ]
        try:
            return column.form.write_all(values)
        except Unfit:
            return [
                self._write_one(column, number, value, misfits)
                for number, value in enumerate(values)
            ]

    def _write_one(self, column: Column, number: int, value: Any, misfits: list[Misfit]) -> str:
        try:
            return NULL if value is None else column.form.write(value)
        except Unfit as why:
            misfits.append((number, column.source, str(why)))
            return NULL

    def _key_of(self, row: Row) -> object:
        return key_of([row[each] for each in self._key])

    def _check_lengths(self, lines: Sequence[bytes], misfits: list[Misfit]) -> None:
        if max(map(len, lines)) > LONGEST_BYTES:
            for number, line in enumerate(lines):
                if len(line) > LONGEST_BYTES:
                    why = f"the row takes {len(line):,} bytes, and at most {LONGEST_BYTES:,} fit"
                    misfits.append((number, "", why))

    def _proofs(self, cells: Sequence[list[str]]) -> Sequence[Hashable]:
        proofs = [
            column.form.prove_all(written) if column.form.proves else written
            for column, written in zip(self._columns, cells, strict=True)
        ]
        return list(zip(*proofs, strict=True))

    def _read(self, lines: Sequence[bytes]) -> Sequence[Hashable]:
        rows = (str(memoryview(line)[:-1], "utf-8").split("\t") for line in lines)
        cells = [
            [NULL if cell == NULL else column.form.read(cell) for cell in found]
            if column.form.proves
            else found
            for column, found in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        return list(zip(*cells, strict=True))


def _encode(cells: Sequence[list[str]]) -> list[bytes]:
    """The lines of COPY."""
    if len(cells[0]) == 1:  # a large row comes alone; one letter can make a text four times as wide
        parts = [part for (cell,) in cells for part in (cell.encode("utf-8", "replace"), b"\t")]
        return [b"".join([*parts[:-1], b"\n"])]
    data = "\n".join(map("\t".join, zip(*cells, strict=True))) + "\n"
    return data.encode("utf-8", "replace").splitlines(keepends=True)


def _chunks(copy: Iterable[Any]) -> Iterator[list[bytes]]:
    """PostgreSQL sends a row at a time. Some together, never more than fit in memory."""
    lines: list[bytes] = []
    size = 0
    for data in copy:
        lines.append(bytes(data))
        size += len(data)
        del data
        if size >= ENOUGH_BYTES or len(lines) >= MANY:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines
