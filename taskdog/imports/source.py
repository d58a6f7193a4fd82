"""A database of taskdog's own server, open, known to be whole, and read as rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from taskdog.imports.exceptions import NewerRevisionError, UnusableSourceError
from taskdog.imports.private_copy import private_copy
from taskdog.imports.revisions import KNOWN, VERSION_TABLE, is_taskdog

MOST_FINDINGS = 3  # of an integrity check: enough to tell what is wrong

Row = dict[str, object]  # the value of each column that was asked for; None for a missing column


class Source:
    """What there is to carry over."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.tables = _tables(connection)
        self.revision = ""

    @property
    def notes_folder(self) -> Path:
        """Where the notes were before they came into the database: a file ``<id>.md`` each."""
        return self.path.resolve().parent / "notes"

    def rows(self, table: str, columns: Sequence[str], *, order: str) -> Iterator[Row]:
        """Read a table, a row at a time; nothing if it is not there."""
        if table not in self.tables:
            return
        there = [name for name in columns if name in self.tables[table]]
        query = f"SELECT {', '.join(there)} FROM {table} ORDER BY {order}"  # noqa: S608  our own words
        for values in self._connection.execute(query):
            yield dict.fromkeys(columns) | dict(zip(there, values, strict=True))

    def count(self, table: str, column: str | None = None) -> int:
        """Count the rows of a table, or those that have something in a column of it."""
        query = f"SELECT count(*) FROM {_quoted(table)}"  # noqa: S608
        if column is not None:
            query += f" WHERE {_quoted(column)} NOT IN ('', '{{}}', '[]')"
        return self.scalar(query)

    def scalar(self, query: str, *parameters: int) -> int:
        """The one number that a query of ours answers with; 0 for NULL."""
        (number,) = self._connection.execute(query, parameters).fetchone()
        return number or 0

    def check(self) -> None:
        """
        Check that it is whole, of taskdog's own server, and of a revision that is known.

        :raises UnusableSourceError: it is damaged, or another application's.
        :raises NewerRevisionError: its revision is not one of ``KNOWN``.
        """
        self._check_integrity()
        if "django_migrations" in self.tables:
            raise UnusableSourceError(
                f"{self.path} is not a database of taskdog's own server. If it is a snapshot of"
                f" this site, restore it with: manage.py restore_db {self.path}"
            )
        if not is_taskdog(self.tables):
            raise UnusableSourceError(f"{self.path} is not a database of taskdog's own server.")
        self.revision = self._read_revision()

    def _check_integrity(self) -> None:
        findings = self._connection.execute(f"PRAGMA integrity_check({MOST_FINDINGS})").fetchall()
        if findings != [("ok",)]:
            words = "; ".join(str(finding) for (finding,) in findings)
            raise UnusableSourceError(f"{self.path} fails SQLite's integrity check: {words}")

    def _read_revision(self) -> str:
        found = [
            str(row["version_num"])
            for row in self.rows(VERSION_TABLE, ["version_num"], order="version_num")
        ] or [KNOWN[0]]
        if len(found) > 1 or found[0] not in KNOWN:
            raise NewerRevisionError(
                f"{self.path} has the revision {', '.join(found)}. This release knows those up to"
                f" {KNOWN[-1]}: update this site first."
            )
        return found[0]


@contextmanager
def open_source(path: Path, *, scratch: Path) -> Iterator[Source]:
    """
    Open a database of taskdog's own server, with the rows that are still in its WAL.

    Neither it nor its folder is written: what is opened is a copy, see ``private_copy``.

    :param scratch: the folder that the copy is made in, for the length of the block.
    :raises ImportRefusedError: it can't be imported, see ``Source.check``.
    :raises OSError: it can't be read, or not be copied.
    """
    with (
        private_copy(path, beside=scratch) as copy,
        _translated(path),
        closing(sqlite3.connect(copy)) as connection,
    ):
        connection.execute("PRAGMA cell_size_check=ON")
        source = Source(connection, path)
        source.check()
        yield source


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnusableSourceError(f"SQLite can't read {path}: {error}") from error


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each real table, in lower case; a view of a table's name is none."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        str(name).lower(): [
            str(row[1]).lower()
            for row in connection.execute(f"PRAGMA table_info({_quoted(str(name))})")
        ]
        for (name,) in names
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
