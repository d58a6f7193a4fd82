"""
Whether a file is as long as its header says. SQLite does not check that: it accepts an empty file
and one with bytes after the last page.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from dataclasses import dataclass

from backups.exceptions import (
    InvalidSnapshotError,
    NotADatabaseError,
    OtherKindError,
    WrongLengthError,
)
from backups.sqlite.format import header
from backups.sqlite.format.wrappings import LOOK_BYTES, POSTGRES, recognise

TRAILING_HINT = (
    "Nothing was staged. Something was appended to the file: download or copy it again. If the"
    " database itself has such bytes, which SQLite ignores, leave them out: restore_db PATH"
    " --accept-defects, or ?accept=defects."
)


@dataclass(frozen=True)
class Header:
    """What the header says about the file's length."""

    page_size: int  # bytes
    page_count: int | None  # None: SQLite before 3.7 wrote the file and kept no count

    @classmethod
    def parse(cls, head: bytes) -> "Header":
        """
        :raises NotADatabaseError: these are not the first bytes of a SQLite database.
        :raises OtherKindError: they are those of a dump of PostgreSQL.
        """
        if not head:
            raise NotADatabaseError("The upload is empty (0 bytes).")
        if len(head) < header.HEADER_BYTES or not head.startswith(header.MAGIC):
            raise _not_a_database(head)
        page_size = int.from_bytes(head[header.PAGE_SIZE], "big")
        page_size = 65536 if page_size == 1 else page_size
        if page_size < 512 or page_size & (page_size - 1):
            raise NotADatabaseError(
                f"The file is not a SQLite database: its header has the page size {page_size}."
            )
        if not set(head[header.VERSIONS]) <= {header.ROLLBACK_JOURNAL, header.WAL}:
            raise NotADatabaseError(
                "The file is of a format that SQLite does not write: its header has the versions"
                f" {' and '.join(map(str, head[header.VERSIONS]))}."
            )
        # The count is valid only if no later change left it behind.
        count = int.from_bytes(head[header.PAGE_COUNT], "big")
        is_valid = count and head[header.CHANGES] == head[header.VALID_FOR]
        return cls(page_size, count if is_valid else None)

    def check_length(self, size: int) -> None:
        """:raises WrongLengthError: ``size`` is not what the header says; names both, in bytes."""
        promised = self.promised_bytes(size)
        if size == promised:
            return
        is_short = size < promised
        what = "cut off" if is_short else "longer than it should be"
        raise WrongLengthError(
            f"The file is {what}: its header says {promised // self.page_size:,} pages of"
            f" {self.page_size:,} bytes, {promised:,} in all, but it has {size:,}.",
            hint=None if is_short else TRAILING_HINT,
        )

    def promised_bytes(self, size: int) -> int:
        """How long the file should be. Without a count, ``size`` is rounded down to whole pages."""
        pages = size // self.page_size if self.page_count is None else self.page_count
        return max(pages, 1) * self.page_size


def check_header(descriptor: int) -> None:
    """
    Refuse an open file that is not a database or has the wrong length. Reads only.

    :raises NotADatabaseError: it does not begin as a database does.
    :raises WrongLengthError: it is cut off, or too long.
    """
    head = os.pread(descriptor, LOOK_BYTES, 0)
    Header.parse(head).check_length(os.fstat(descriptor).st_size)


def _not_a_database(head: bytes) -> InvalidSnapshotError:
    """Say what it is instead if that is known, and how to unwrap it."""
    message = "The file is not a SQLite database: it"
    if (wrapping := recognise(head)) == POSTGRES:
        return OtherKindError(
            f"This is {POSTGRES.what}. This site's database is SQLite in a file, and can't"
            " take it.",
            hint=f"Nothing was staged. {POSTGRES.remedy}",
        )
    if wrapping:
        hint = f"Nothing was staged. {wrapping.remedy}"
        return NotADatabaseError(f"{message} is {wrapping.what}.", hint=hint)
    return NotADatabaseError(f"{message} does not begin with 'SQLite format 3'.")


def cut_trailing_bytes(descriptor: int) -> int:
    """
    Cut off what follows the last page, which SQLite never reads. Returns how many bytes that was.

    :raises NotADatabaseError: it is not a database.
    :raises OSError: the file can't be changed.
    """
    size = os.fstat(descriptor).st_size
    promised = Header.parse(os.pread(descriptor, header.HEADER_BYTES, 0)).promised_bytes(size)
    if size <= promised:
        return 0
    os.ftruncate(descriptor, promised)
    return size - promised
