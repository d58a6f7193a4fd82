"""
The fields in the first 100 bytes of a SQLite database, and the mark of WAL mode there.

Imports little, since the process that sends a snapshot loads it before it sends the first byte.

Source: https://www.sqlite.org/fileformat2.html#the_database_header
"""

import os
from pathlib import Path

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
PAGE_SIZE = slice(16, 18)
VERSIONS = slice(18, 20)  # of the format: for writing, and for reading
RESERVED = slice(20, 21)  # how many bytes at the end of each page SQLite leaves unused
CHANGES = slice(24, 28)  # a counter
PAGE_COUNT = slice(28, 32)
SCHEMA_VERSION = slice(40, 44)
VALID_FOR = slice(92, 96)  # what CHANGES was when PAGE_COUNT was stored

ROLLBACK_JOURNAL, WAL = 1, 2  # as a version


def read(descriptor: int) -> bytes:
    """The header of an open file, or all of a shorter file."""
    return os.pread(descriptor, HEADER_BYTES, 0)


def set_page_count(head: bytearray, pages: int) -> None:
    """Store the page count and mark it as valid: SQLite before 3.7 left an old count there."""
    head[PAGE_COUNT] = pages.to_bytes(4, "big")
    head[VALID_FOR] = head[CHANGES]


def has_wal_mark(head: bytes) -> bool:
    """Whether this is the header of a database in WAL mode."""
    return head.startswith(MAGIC) and WAL in head[VERSIONS]


def is_wal(database: Path) -> bool:
    """
    Whether a file is a database with the mark of WAL mode; False if it is missing. Reads only.

    Don't call it for the live database in a process with a connection to it: closing the file
    would drop that connection's locks.

    :raises OSError: the file can't be read.
    """
    try:
        with database.open("rb") as file:
            return has_wal_mark(file.read(HEADER_BYTES))
    except FileNotFoundError:
        return False


def use_rollback_journal(database: Path) -> bool:
    """
    Remove the mark of WAL mode from a closed database without a WAL. No program that opens it then
    creates a WAL. Returns whether it had the mark.

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
