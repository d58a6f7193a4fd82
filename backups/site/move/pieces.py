"""One table's rows, some at a time, as the lines of COPY that they are sent by."""

from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from backups.site.move.columns import Column
from backups.site.move.forms import LONGEST_BYTES, NULL, Unfit
from backups.site.move.references import key_of
from backups.site.move.source import Source, SourceTable
from backups.sqlite.format.schema import quote

Row = tuple[Any, ...]
Misfit = tuple[int, str, str]  # which row of a piece, the column, and why


@dataclass
class Piece:
    """Some rows."""

    rows: Sequence[Row]
    lines: Sequence[bytes]  # of COPY
    proofs: Sequence[Hashable]  # what stands for each in the comparison
    misfits: list[Misfit]


class Pieces:
    """All rows of a table, and what stands for each in the comparison."""

    def __init__(self, source: Source, table: SourceTable, columns: Sequence[Column]) -> None:
        self._source, self._columns = source, columns
        self._proves = any(each.form.proves for each in columns)
        names = [each.source for each in columns]
        extra = [each for each in table.key if each not in names]  # to name a row with
        selected = [*names, *extra]
        self._key = [selected.index(each) for each in table.key]
        # Always the same words: in others SQLite may take the rows in another order.
        words = ", ".join(map(quote, selected))
        self._sql = f"SELECT {words} FROM {quote(table.name)}"  # noqa: S608

    def read(self) -> Generator[Piece]:
        """The rows of the snapshot. Close it before they are read again."""
        large = any(each.can_be_large for each in self._columns)
        for rows in self._source.batches(self._sql, can_be_large=large):
            yield self._piece(rows)
            del rows

    def key_of(self, row: Row) -> str:
        """The key of a row, in words."""
        return key_of([row[each] for each in self._key])

    def read_back(self, lines: Sequence[bytes]) -> Sequence[Hashable]:
        """What stands for rows that PostgreSQL sent, by its lines of COPY."""
        if not self._proves:
            return lines
        rows = (str(memoryview(line)[:-1], "utf-8").split("\t") for line in lines)
        cells = [
            [NULL if cell == NULL else column.form.read(cell) for cell in found]
            if column.form.proves
            else found
            for column, found in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        return list(zip(*cells, strict=True))

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


def _encode(cells: Sequence[list[str]]) -> list[bytes]:
    """The lines of COPY."""
    if len(cells[0]) == 1:  # a large row comes alone; one letter can make a text four times as wide
        parts = [part for (cell,) in cells for part in (cell.encode("utf-8", "replace"), b"\t")]
        return [b"".join([*parts[:-1], b"\n"])]
    data = "\n".join(map("\t".join, zip(*cells, strict=True))) + "\n"
    return data.encode("utf-8", "replace").splitlines(keepends=True)
