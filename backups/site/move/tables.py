"""One table's rows: sent by COPY as they are read, and read back to be compared."""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from backups.site.move.columns import Column
from backups.site.move.faults import Faults
from backups.site.move.forms import Unfit
from backups.site.move.number_forms import Exact
from backups.site.move.pieces import Piece, Pieces
from backups.site.move.refusals import is_of_the_server, words_of
from backups.site.move.source import ENOUGH_BYTES, MANY, Source, SourceTable
from backups.sqlite.format.schema import quote

HASH_BITS = 2**64 - 1
MOST_REFUSED = 1000  # rows of a table, which are found one by one


@dataclass
class Sum:
    """How many rows, and a number that depends on all of them but not on their order."""

    rows: int = 0
    value: int = 0

    def add(self, proofs: Sequence[Hashable]) -> None:
        self.rows += len(proofs)
        self.value = (self.value + sum(map(hash, proofs))) & HASH_BITS


class TableMove:
    """The move of one table, whose columns are known."""

    def __init__(
        self, source: Source, table: SourceTable, name: str, columns: Sequence[Column]
    ) -> None:
        """:param name: the table's in PostgreSQL."""
        self._source, self._table, self.name, self._columns = source, table, name, columns
        self._target = quote(name)
        self._pieces = Pieces(source, table, columns)

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
                found.add(self._pieces.read_back(lines))
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
        with closing(self._pieces.read()) as pieces:  # the file can be read again
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
        for piece in self._pieces.read():
            for number, column, why in piece.misfits:
                faults.add(self._table.name, self._pieces.key_of(piece.rows[number]), column, why)
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
                key = self._pieces.key_of(piece.rows[numbers[0]])
                faults.add(self._table.name, key, error.diag.column_name or "", words_of(error))
                return 1
            half = len(numbers) // 2
            first = self._try(connection, piece, numbers[:half], faults)
            return first + self._try(connection, piece, numbers[half:], faults)
        return 0


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
