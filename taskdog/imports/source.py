"""A database of taskdog's own server, open, known to be whole, and read as rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backups.conf import conf
from taskdog.imports.exceptions import NewerRevisionError, UnusableSourceError
from taskdog.imports.private_copy import private_copy
from taskdog.imports.reader import Reader
from taskdog.imports.revisions import KNOWN, VERSION_TABLE, is_taskdog

Row = dict[str, object]  # the value of each column that was asked for; None for a missing column


class Source:
    """What there is to carry over."""

    def __init__(self, reader: Reader, path: Path) -> None:
        self._reader = reader
        self.path = path
        self.tables: dict[str, list[str]] = dict(reader.ask(tables=True))
        self.revision = ""

    @property
    def folder(self) -> Path:
        """Where it really is; before there was a table for them, the notes were beside it."""
        return self.path.resolve().parent

    def rows(self, table: str, columns: Sequence[str], *, order: str) -> Iterator[Row]:
        """Read a table, a row at a time; nothing if it is not there."""
        if table not in self.tables:
            return
        there = [name for name in columns if name in self.tables[table]]
        question = {"from": table, "select": there, "order": order.split(", ")}
        for values in self._reader.ask(**question):
            yield dict.fromkeys(columns) | dict(zip(there, values, strict=True))

    def count(self, table: str, column: str | None = None) -> int:
        """Count the rows of a table, or those that have something in a column of it."""
        (number,) = self._reader.ask(count=table, column=column)
        return int(number)

    def check(self) -> None:
        """
        Check that it is of taskdog's own server, and of a revision that is known.

        :raises UnusableSourceError: it is another application's.
        :raises NewerRevisionError: its revision is not one of ``KNOWN``.
        """
        if "django_migrations" in self.tables:
            raise UnusableSourceError(
                f"{self.path} is not a database of taskdog's own server. If it is a snapshot of"
                f" this site, restore it with: manage.py restore_db {self.path}"
            )
        if not is_taskdog(self.tables):
            raise UnusableSourceError(f"{self.path} is not a database of taskdog's own server.")
        self.revision = self._read_revision()

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

    Neither it nor its folder is written: what is opened is a copy, see ``private_copy``, and it is
    opened as an upload is checked: in a process with limits, see ``reading_process``.

    :param scratch: the folder that the copy is made in, for the length of the block.
    :raises ImportRefusedError: it is damaged, or can't be imported, see ``Source.check``.
    :raises OSError: it can't be read, or not be copied.
    """
    with (
        private_copy(path, beside=scratch) as copy,
        Reader(copy, path, seconds=conf.check_seconds) as reader,
    ):
        source = Source(reader, path)
        source.check()
        yield source
