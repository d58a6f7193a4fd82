"""
The first 100 bytes of a SQLite database, read without SQLite.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from dataclasses import dataclass
from pathlib import Path

from backups.exceptions import NotADatabaseError, WrongLengthError
from backups.sqlite.format.wrappings import LOOK_BYTES, recognise

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
VERSIONS = slice(18, 20)  # who may write the file, and who may read it
ROLLBACK_JOURNAL, WAL = 1, 2

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
    Refuse what SQLite itself would take: it says "ok" to an empty file and to a longer one.

    Reads the beginning and the length of an open file; changes nothing.
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


def has_wal_mark(head: bytes) -> bool:
    """Whether the header says that the database was in WAL mode. False if this is not a header."""
    return head.startswith(MAGIC) and WAL in head[VERSIONS]


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
    return has_wal_mark(head)


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
