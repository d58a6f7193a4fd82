"""
The first 100 bytes of a SQLite database, read without SQLite.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from dataclasses import dataclass
from pathlib import Path

from backups.exceptions import NotADatabaseError, WrongLengthError

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
VERSIONS = slice(18, 20)  # who may write the file, and who may read it
ROLLBACK_JOURNAL, WAL = 1, 2


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
            raise NotADatabaseError(
                "The file is not a SQLite database: it does not begin with 'SQLite format 3'."
            )
        page_size = int.from_bytes(head[16:18], "big")
        page_size = 65536 if page_size == 1 else page_size
        if page_size < 512 or page_size & (page_size - 1):
            raise NotADatabaseError(
                f"The file is not a SQLite database: its header has the page size {page_size}."
            )
        if not set(head[VERSIONS]) <= {ROLLBACK_JOURNAL, WAL}:
            raise NotADatabaseError(
                "The file is of a format that SQLite does not write: its header has the versions"
                f" {head[18]} and {head[19]}."
            )
        # The count is to be trusted only if the change counter (24) was stored with it (92).
        count = int.from_bytes(head[28:32], "big")
        return cls(page_size, count if count and head[24:28] == head[92:96] else None)

    def check_length(self, size: int) -> None:
        """
        Compare the file's length with what the header promises.

        :raises WrongLengthError: naming both lengths in bytes.
        """
        pages = size // self.page_size if self.page_count is None else self.page_count
        promised = max(pages, 1) * self.page_size
        if size == promised:
            return
        what = "cut off" if size < promised else "longer than it should be"
        raise WrongLengthError(
            f"The file is {what}: its header says {max(pages, 1):,} pages of {self.page_size:,}"
            f" bytes, {promised:,} in all, but it has {size:,}."
        )


def check_header(descriptor: int) -> None:
    """
    Refuse what SQLite itself would take: it says "ok" to an empty file and to a longer one.

    Reads 100 bytes and the length of an open file; changes nothing.
    """
    head = os.pread(descriptor, HEADER_BYTES, 0)
    Header.parse(head).check_length(os.fstat(descriptor).st_size)


def is_wal(database: Path) -> bool:
    """
    Whether a database has the mark of WAL mode; no for a file that is none. Reads only.

    Not of the live database in a process that has a connection to it: trap of POSIX locks.

    :raises OSError: the file can't be read.
    """
    try:
        with database.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return False
    return head.startswith(MAGIC) and WAL in head[VERSIONS]


def use_rollback_journal(database: Path) -> bool:
    """
    Take the mark of WAL mode from a closed database that has no WAL beside it: that is all there
    is to it, and no program that opens it will put a WAL there. Returns whether it had one.

    :raises OSError: the file can't be written.
    """
    descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    try:
        marked = WAL in os.pread(descriptor, HEADER_BYTES, 0)[VERSIONS]
        if marked:
            os.pwrite(descriptor, bytes([ROLLBACK_JOURNAL] * 2), VERSIONS.start)
        return marked
    finally:
        os.close(descriptor)
