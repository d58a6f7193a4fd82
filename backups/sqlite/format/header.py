"""
Where things stand in the first 100 bytes of a SQLite database, and the mark of WAL mode there.

Imports little: the process that sends a snapshot needs it before its first byte.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from pathlib import Path

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
PAGE_SIZE = slice(16, 18)
VERSIONS = slice(18, 20)  # who may write the file, and who may read it
RESERVED = slice(20, 21)  # how many bytes of each page SQLite leaves alone
CHANGES = slice(24, 28)  # a counter
PAGE_COUNT = slice(28, 32)
SCHEMA_VERSION = slice(40, 44)
VALID_FOR = slice(92, 96)  # what CHANGES was when PAGE_COUNT was stored

ROLLBACK_JOURNAL, WAL = 1, 2  # as a version


def read(descriptor: int) -> bytes:
    """The header of an open file; shorter if the file is."""
    return os.pread(descriptor, HEADER_BYTES, 0)


def set_page_count(head: bytearray, pages: int) -> None:
    """Store it so that it counts: SQLite before 3.7 left an old one there."""
    head[PAGE_COUNT] = pages.to_bytes(4, "big")
    head[VALID_FOR] = head[CHANGES]


def has_wal_mark(head: bytes) -> bool:
    """Whether the header says that the database was in WAL mode. False if this is not a header."""
    return head.startswith(MAGIC) and WAL in head[VERSIONS]


def is_wal(database: Path) -> bool:
    """
    Whether a file is a database with the mark of WAL mode. Reads only.

    Not for the live database in a process that has a connection to it: to close the file would
    drop the locks of that connection.

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
    Take the mark of WAL mode from a closed database that has no WAL beside it. Nothing else marks
    it, and no program that opens it will put a WAL there. Returns whether it had the mark.

    :raises OSError: the file can't be written.
    """
    descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    try:
        marked = WAL in read(descriptor)[VERSIONS]
        if marked:
            os.pwrite(descriptor, bytes([ROLLBACK_JOURNAL] * 2), VERSIONS.start)
        return marked
    finally:
        os.close(descriptor)
