"""
The head and the table of contents of pg_dump's custom format, read byte by byte.

pg_restore sends the text of each entry to the server as it stands in the table of contents, and
the rows of a table apart from it, by COPY. So these entries are all the SQL that a dump has, but
for two comments with the versions that its head names. We don't judge the script that pg_restore
can write: it puts parts of an entry into comments, which the server never gets, and a crafted entry
ends such a comment or begins one.

Each number has a fixed length, and each text has its length before it, so there is one way to read
this. What no pg_dump writes is refused, even if pg_restore would take it: e.g. a text with a NUL
byte, where C would end it.

Source: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/bin/pg_dump/pg_backup_archiver.c
(ReadHead, ReadToc, ReadInt, ReadStr) and pg_backup_custom.c (_ReadExtraToc)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backups.exceptions import DamagedSnapshotError, NewerSnapshotError, NotADatabaseError

MAGIC = b"PGDMP"
_OLDEST, _NEWEST = (1, 14), (1, 16)  # of pg_dump 12, and of 17 and 18
_HAS_ALGORITHM = (1, 15)  # one byte, where there was a level before
_HAS_RELATION_KIND = (1, 16)
_INTEGER, _OFFSET, _CUSTOM = 4, 8, 1  # bytes of each on every machine; the format
_TIME_FIELDS = 7
_OFFSET_KINDS = (1, 2, 3)  # of the rows: not known, known, there are none
MOST_TEXT = 32 * 1024**2  # bytes of the table of contents: a thousand tables have 3 MB
MOST_ENTRIES = 1_000_000
_VERSION = re.compile(r"[0-9][ -~]{,200}")
_MOST_NUMBER = 10_000_000  # pg_restore makes a list as long as the highest number of an entry


@dataclass(frozen=True)
class Head:
    """What a dump says about itself."""

    database: str  # its name where it was taken
    server_version: str  # of the server
    program_version: str  # of the pg_dump


@dataclass(frozen=True)
class Entry:
    """One entry of the table of contents."""

    number: int
    has_data: bool  # rows, or anything else in a block of its own
    kind: str  # "TABLE", "TABLE DATA" …
    name: str
    sql: str  # runs as it is
    copy: str  # runs before its data is sent
    schema: str
    access_method: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def is_dump(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an archive of pg_dump."""
    return head.startswith(MAGIC)


def read_archive(file: BinaryIO) -> tuple[Head, list[Entry]]:
    """
    Read the head and the table of contents. The file's data is not read.

    :raises NotADatabaseError: it is not in pg_dump's custom format.
    :raises NewerSnapshotError: it is in a newer one.
    :raises DamagedSnapshotError: it can't be read, or has what pg_dump does not write.
    """
    reader = _Reader(file)
    version = _read_version(reader)
    if version >= _HAS_ALGORITHM:
        reader.byte()
    else:
        reader.integer()
    for _ in range(_TIME_FIELDS):
        reader.integer()
    head = Head(reader.text(), reader.text(), reader.text())
    # pg_restore sends the versions to the server, each in a comment to the end of a line.
    if not all(map(_VERSION.fullmatch, (head.server_version, head.program_version))):
        raise damaged("its head has a version that is not one")
    count = reader.integer()
    if not 0 <= count <= MOST_ENTRIES:
        raise damaged(f"its table of contents claims to have {count:,} entries")
    return head, [_read_entry(reader, version) for _ in range(count)]


def damaged(how: str) -> DamagedSnapshotError:
    return DamagedSnapshotError(f"The dump is damaged: {how}.")


def _read_version(reader: "_Reader") -> tuple[int, int]:
    if not is_dump(reader.take(len(MAGIC))):
        raise NotADatabaseError("The file is not a dump in PostgreSQL's custom format.")
    version = (reader.byte(), reader.byte())
    reader.byte()  # the revision
    sizes = (reader.byte(), reader.byte(), reader.byte())
    if version > _NEWEST:
        raise NewerSnapshotError(
            f"The dump was made by a newer pg_dump than this release knows: its format is"
            f" {version[0]}.{version[1]}, and the newest known is {_NEWEST[0]}.{_NEWEST[1]}.",
            hint="Nothing was staged. Update django-restorable, or use an older pg_dump.",
        )
    if version < _OLDEST or sizes != (_INTEGER, _OFFSET, _CUSTOM):
        raise NotADatabaseError(
            "The file is a dump, but not one in the custom format of pg_dump 12 or later.",
            hint="Nothing was staged. Make it with: pg_dump --format=custom",
        )
    return version


def _read_entry(reader: "_Reader", version: tuple[int, int]) -> Entry:
    number, has_data = reader.integer(), reader.integer()
    if not 0 < number <= _MOST_NUMBER or has_data not in (0, 1):
        raise damaged(f"an entry of its table of contents has the number {number}")
    reader.text(), reader.text()  # where it was in the server's catalog
    name, kind = reader.text(), reader.text()
    reader.integer()  # the section
    sql, _, copy = reader.text(), reader.text(), reader.text()  # between them: how to drop it
    schema, _, access_method = reader.text(), reader.text(), reader.text()  # and the tablespace
    if version >= _HAS_RELATION_KIND:
        reader.integer()
    reader.text(), reader.text()  # the owner, and whether it has OIDs
    for _ in reader.texts():
        pass  # what it depends on
    if reader.byte() not in _OFFSET_KINDS:
        raise damaged(f"the entry {name} has no valid place for its data")
    reader.take(_OFFSET)
    return Entry(number, bool(has_data), kind, name, sql, copy, schema, access_method)


class _Reader:
    """Numbers and texts, in the order of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MOST_TEXT

    def take(self, length: int) -> bytes:
        self._left -= length
        if self._left < 0:
            raise damaged("its table of contents is longer than any that pg_dump writes")
        if len(found := self._file.read(length)) != length:
            raise damaged("it ends within its table of contents")
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        sign, size = self.byte(), int.from_bytes(self.take(_INTEGER), "little")
        if sign > 1 or size >= 2**31:
            raise damaged("its table of contents has a number that is not one")
        return -size if sign else size

    def text(self) -> str:
        return self._text() or ""

    def texts(self) -> Iterator[str]:
        while (text := self._text()) is not None:
            yield text

    def _text(self) -> str | None:
        if (length := self.integer()) == -1:
            return None
        found = self.take(length) if length >= 0 else b"\0"
        if b"\0" in found:
            raise damaged("its table of contents has a text with a NUL byte, or no length")
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged("its table of contents has a text that is not UTF-8") from error
