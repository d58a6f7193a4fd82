"""
The first 100 bytes of a SQLite database, read without SQLite.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from dataclasses import dataclass

from backups.exceptions import NotADatabaseError, WrongLengthError

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100


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
