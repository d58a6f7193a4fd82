"""Archives in pg_dump's custom format, written byte by byte: a hostile one can say anything."""

from collections.abc import Iterable
from dataclasses import dataclass

ENCODING = "SET client_encoding = 'UTF8';\n"
STRINGS = "SET standard_conforming_strings = 'on';\n"
SEARCH_PATH = "SELECT pg_catalog.set_config('search_path', '', false);\n"
SECTIONS = {"data": 3, "before": 2, "after": 4, "none": 1}
ROWS, LARGE_OBJECTS = 1, 3  # what a block of data has


@dataclass(frozen=True)
class Line:
    """An entry of the table of contents."""

    kind: str
    name: str = "t"
    sql: str | None = None
    copy: str | None = None
    data: bytes | None = None
    schema: str | None = "public"
    access_method: str | None = None
    section: str = "before"
    block: int = ROWS


SETTINGS = (
    Line("ENCODING", "ENCODING", ENCODING),
    Line("STDSTRINGS", "STDSTRINGS", STRINGS),
    Line("SEARCHPATH", "SEARCHPATH", SEARCH_PATH),
)


def archive(
    *lines: Line,
    settings: Iterable[Line] = SETTINGS,
    version: int = 14,
    versions: tuple[str, str] = ("15.3 (Debian)", "18.1"),
) -> bytes:
    """A whole archive, with what a real one begins with."""
    every = [*settings, *lines]
    head = b"PGDMP" + bytes((1, version, 0, 4, 8, 1))
    head += b"\0" if version >= 15 else number(0)
    head += b"".join(number(each) for each in (1, 2, 3, 4, 5, 126, 0))
    head += text("of_the_dump") + b"".join(map(text, versions)) + number(len(every))
    contents = b"".join(_entry(at, line, version) for at, line in enumerate(every, 1))
    blocks = b"".join(_block(at, line) for at, line in enumerate(every, 1))
    return head + contents + blocks


def number(value: int) -> bytes:
    """As ``WriteInt`` of pg_dump."""
    return bytes((value < 0,)) + abs(value).to_bytes(4, "little")


def text(value: str | bytes | None) -> bytes:
    """As ``WriteStr`` of pg_dump."""
    if value is None:
        return number(-1)
    encoded = value.encode() if isinstance(value, str) else value
    return number(len(encoded)) + encoded


def _entry(at: int, line: Line, version: int) -> bytes:
    has_data = line.data is not None
    return b"".join(
        (
            number(at) + number(has_data) + text("0") + text("0"),
            text(line.name) + text(line.kind) + number(SECTIONS[line.section]),
            text(line.sql) + text("") + text(line.copy),
            text(line.schema) + text(None) + text(line.access_method),
            number(ord("r")) if version >= 16 else b"",
            text("anybody") + text("false") + text(None),
            bytes((1 if has_data else 3,)) + bytes(8),
        )
    )


def _block(at: int, line: Line) -> bytes:
    if line.data is None:
        return b""
    start = bytes((line.block,)) + number(at)
    if line.block == LARGE_OBJECTS:
        return start + number(1) + number(len(line.data)) + line.data + number(0) + number(0)
    return start + (number(len(line.data)) + line.data if line.data else b"") + number(0)
