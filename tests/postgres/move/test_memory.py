"""A large row is in memory by itself, and as few times as can be."""

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

from backups.site.move.columns import Column
from backups.site.move.forms import Text
from backups.site.move.pieces import Pieces
from backups.site.move.source import Source

LETTERS = 10_000_000


def make(path: Path) -> Path:
    """A file with large texts, in rows that have a letter of four bytes too."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE note (id integer PRIMARY KEY, text text, mood text)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)"
            " INSERT INTO note SELECT i, printf('%.*c', ?, 'x'), '\U0001f600' FROM n",
            [LETTERS],
        )
    return path


def test_large_rows_come_one_by_one(tmp_path: Path) -> None:
    with closing(Source(make(tmp_path / "site.db"))) as source:
        batches = source.batches("SELECT * FROM note", can_be_large=True)
        assert [len(rows) for rows in batches] == [1, 1, 1, 1]


def test_large_text_is_there_four_times_at_most(tmp_path: Path) -> None:
    columns = [Column(name, name, Text(), False, True) for name in ("text", "mood")]
    with closing(Source(make(tmp_path / "site.db"))) as source:
        (table,) = source.tables
        pieces = Pieces(source, table, columns).read()
        tracemalloc.start()
        try:
            for piece in pieces:
                (line,) = piece.lines
                assert len(line) == LETTERS + len("\t\U0001f600\n".encode())
                del piece, line
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 2 * LETTERS < peak < 4.5 * LETTERS  # that of the next row is one of them
