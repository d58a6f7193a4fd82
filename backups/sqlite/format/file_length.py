"""
Whether a file is as long as a database with its header is. SQLite itself does not ask: it says
"ok" to an empty file and to a longer one.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from dataclasses import dataclass

from backups.exceptions import NotADatabaseError, WrongLengthError
from backups.sqlite.format.header import (
    CHANGES,
    HEADER_BYTES,
    MAGIC,
    PAGE_COUNT,
    PAGE_SIZE,
    ROLLBACK_JOURNAL,
    VALID_FOR,
    VERSIONS,
    WAL,
)
from backups.sqlite.format.wrappings import LOOK_BYTES, recognise

TRAILING_HINT = (
    "Nothing was staged. Something was appended to the file: download or copy it again. If the"
    " database itself has such bytes, which SQLite ignores, leave them out: restore_db PATH"
    " --accept-defects, or ?accept=defects."
)


@dataclass(frozen=True)
class Header:
    """What the header says of the file's length."""

    page_size: int  # bytes
    page_count: int | None  # None: written by a SQLite before 3.7, which kept no count

    @classmethod
    def parse(cls, head: bytes) -> "Header":
        """
        Read a header.

        :raises NotADatabaseError: if these are not the first bytes of a SQLite database.
        """
        if not head:
            raise NotADatabaseError("The upload is empty (0 bytes).")
        if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
            raise _not_a_database(head)
        page_size = int.from_bytes(head[PAGE_SIZE], "big")
        page_size = 65536 if page_size == 1 else page_size
        if page_size < 512 or page_size & (page_size - 1):
            raise NotADatabaseError(
                f"The file is not a SQLite database: its header has the page size {page_size}."
            )
        if not set(head[VERSIONS]) <= {ROLLBACK_JOURNAL, WAL}:
            raise NotADatabaseError(
                "The file is of a format that SQLite does not write: its header has the versions"
                f" {' and '.join(map(str, head[VERSIONS]))}."
            )
        # The count holds only for the change that it was stored with.
        count = int.from_bytes(head[PAGE_COUNT], "big")
        return cls(page_size, count if count and head[CHANGES] == head[VALID_FOR] else None)

    def check_length(self, size: int) -> None:
        """
        Compare the file's length with what the header promises.

        :raises WrongLengthError: naming both lengths in bytes.
        """
        promised = self.promised_bytes(size)
        if size == promised:
            return
        what = "cut off" if size < promised else "longer than it should be"
        hint = None if size < promised else TRAILING_HINT
        raise WrongLengthError(
            f"The file is {what}: its header says {promised // self.page_size:,} pages of"
            f" {self.page_size:,} bytes, {promised:,} in all, but it has {size:,}.",
            hint=hint,
        )

    def promised_bytes(self, size: int) -> int:
        """How long the file should be, which has ``size`` bytes."""
        pages = size // self.page_size if self.page_count is None else self.page_count
        return max(pages, 1) * self.page_size


def check_header(descriptor: int) -> None:
    """
    Refuse what is not a database of just this length.

    Reads the beginning and the length of an open file; changes nothing.

    :raises NotADatabaseError: it does not begin as one.
    :raises WrongLengthError: it is cut off, or too long.
    """
    head = os.pread(descriptor, LOOK_BYTES, 0)
    Header.parse(head).check_length(os.fstat(descriptor).st_size)


def _not_a_database(head: bytes) -> NotADatabaseError:
    """Name what it is instead, where that is known, with the command that unwraps it."""
    if wrapping := recognise(head):
        return NotADatabaseError(
            f"The file is not a SQLite database: it is {wrapping.what}.",
            hint=f"Nothing was staged. {wrapping.remedy}",
        )
    return NotADatabaseError(
        "The file is not a SQLite database: it does not begin with 'SQLite format 3'."
    )


def cut_trailing_bytes(descriptor: int) -> int:
    """
    Cut off what lies behind the last page, which SQLite never reads. Returns how many bytes went.

    :raises NotADatabaseError: it is not a database.
    :raises OSError: the file can't be changed.
    """
    size = os.fstat(descriptor).st_size
    promised = Header.parse(os.pread(descriptor, HEADER_BYTES, 0)).promised_bytes(size)
    if size <= promised:
        return 0
    os.ftruncate(descriptor, promised)
    return size - promised
