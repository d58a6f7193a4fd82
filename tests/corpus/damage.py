"""
Damage to the bytes of a snapshot: what a disk, a wire or somebody with a hex editor does.

Each kind takes a good snapshot, a source of chance and its number within the family.

Source: https://www.sqlite.org/fileformat2.html
"""

from collections.abc import Callable
from random import Random

Spoil = Callable[[bytes, Random, int], bytes]

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF)
NUMBERS = (0, 1, 2, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
PAGE_TYPES = (0, 2, 5, 10, 13, 255)
LEAF, INTERIOR = (10, 13), (2, 5)
LONG_VARINT = b"\xff" * 9  # the largest number that a varint can hold
MAGIC = b"SQLite format 3\x00"


def flip_bits(content: bytes, chance: Random, number: int) -> bytes:
    """One bit, or up to 64."""
    spoiled = bytearray(content)
    for _ in range(1 << number % 7):
        spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def flip_structure(content: bytes, chance: Random, number: int) -> bytes:
    """A few bytes where pages keep their structure: their first 64."""
    spoiled = bytearray(content)
    for _ in range(1 + number % 4):
        start = _page(content, chance)
        spoiled[start + chance.randrange(64)] = chance.choice((*EXTREMES, chance.randrange(256)))
    return bytes(spoiled)


def scribble_pages(content: bytes, chance: Random, number: int) -> bytes:
    """Whole pages of noise, of zeros, of ones, or of another page."""
    spoiled, size = bytearray(content), page_size(content)
    for _ in range(1 + number % 3):
        start, other = _page(content, chance), _page(content, chance)
        fill = chance.choice((0, 1, 2, 3))
        spoiled[start : start + size] = (
            bytes(size),
            b"\xff" * size,
            chance.randbytes(size),
            content[other : other + size],
        )[fill]
    return bytes(spoiled)


def cut_pages(content: bytes, chance: Random, number: int) -> bytes:
    """Cut off at a page, in a page, or with a page missing in the middle; some with a new count."""
    size = page_size(content)
    where = _page(content, chance)
    if number % 4 == 0:
        return content[:where]
    if number % 4 == 1:
        return content[: chance.randrange(len(content))]
    short = content[:where] + content[where + size :]
    if number % 4 == 2 or where == 0:
        return short
    return with_count(short, len(short) // size)


def grow(content: bytes, chance: Random, number: int) -> bytes:
    """Longer than it was, and its header says so in half of the cases."""
    size = page_size(content)
    longer = content + chance.randbytes(size * (1 + number % 5))
    return longer if number % 2 else with_count(longer, len(longer) // size)


def change_header(content: bytes, chance: Random, number: int) -> bytes:
    """Every byte of the header in turn, and every number of it, with values at the edges."""
    spoiled = bytearray(content)
    if number % 2:
        spoiled[number // 2 % 100] = EXTREMES[number // 200 % len(EXTREMES)]
    else:
        where = 16 + 4 * (number // 2 % 21)
        spoiled[where : where + 4] = chance.choice(NUMBERS).to_bytes(4, "big")
    return bytes(spoiled)


def promise_pages(content: bytes, chance: Random, number: int) -> bytes:
    """A page count that the file has not, up to four billion; in half of them it is not valid."""
    spoiled = with_count(content, chance.choice((*NUMBERS, chance.randrange(2**32))))
    return spoiled if number % 2 else spoiled[:92] + b"\0\0\0\1" + spoiled[96:]


def loop_freelist(content: bytes, chance: Random, number: int) -> bytes:
    """A list of free pages that runs in a circle, or to where no page is."""
    size = page_size(content)
    pages = len(content) // size
    trunk = chance.randrange(2, pages + 1)
    spoiled = bytearray(content)
    spoiled[32:40] = trunk.to_bytes(4, "big") + chance.choice((1, pages, 2**31)).to_bytes(4, "big")
    start = (trunk - 1) * size
    following = chance.choice((trunk, 1, 2, pages + 1, 2**32 - 1))
    leaves = chance.choice((0, 1, size // 4, 2**32 - 1))
    spoiled[start : start + 8] = following.to_bytes(4, "big") + leaves.to_bytes(4, "big")
    return bytes(spoiled)


def loop_tree(content: bytes, chance: Random, number: int) -> bytes:
    """A page that has itself, its parent or the root for a child."""
    size = page_size(content)
    spoiled = bytearray(content)
    start = _page(content, chance)
    head = start + (100 if start == 0 else 0)
    target = chance.choice((start // size + 1, 1, 2, 0, len(content) // size + 1))
    if spoiled[head] not in INTERIOR:
        spoiled[head] = chance.choice(INTERIOR)
    spoiled[head + 8 : head + 12] = target.to_bytes(4, "big")
    if cells := int.from_bytes(spoiled[head + 3 : head + 5], "big"):
        pointer = head + 12 + 2 * chance.randrange(min(cells, 20))
        cell = start + int.from_bytes(spoiled[pointer : pointer + 2], "big")
        if number % 2 and cell + 4 <= len(spoiled):
            spoiled[cell : cell + 4] = target.to_bytes(4, "big")
    return bytes(spoiled)


def move_cells(content: bytes, chance: Random, number: int) -> bytes:
    """Cells that lie over each other, over the page's head, or beyond its end."""
    spoiled = bytearray(content)
    start = _page(content, chance)
    head = start + (100 if start == 0 else 0)
    if number % 3 == 0:
        spoiled[head + 3 : head + 5] = chance.choice((0, 1, 255, 4000, 65535)).to_bytes(2, "big")
    for _ in range(1 + number % 5):
        pointer = head + 8 + 2 * chance.randrange(12)
        spoiled[pointer : pointer + 2] = chance.choice(
            (0, 8, 65535, chance.randrange(page_size(content)) % 65536)
        ).to_bytes(2, "big")
    return bytes(spoiled)


def stretch_records(content: bytes, chance: Random, number: int) -> bytes:
    """A row that claims to be as long as a number can say."""
    size = page_size(content)
    spoiled = bytearray(content)
    for _ in range(20):
        start = _page(content, chance)
        head = start + (100 if start == 0 else 0)
        cells = int.from_bytes(spoiled[head + 3 : head + 5], "big")
        if spoiled[head] in LEAF and 0 < cells < size // 4:
            pointer = head + 8 + 2 * chance.randrange(cells)
            cell = start + int.from_bytes(spoiled[pointer : pointer + 2], "big")
            long = chance.choice((LONG_VARINT, b"\x84\x80\x80\x80\x00", b"\xff\x7f", b"\x0c"))
            where = cell + chance.choice((0, 0, 1, 2, 3, 4))
            spoiled[where : where + len(long)] = long
            break
    return bytes(spoiled[: len(content)])


def change_types(content: bytes, chance: Random, number: int) -> bytes:
    """A page of one kind of tree that says it is of another."""
    spoiled = bytearray(content)
    start = _page(content, chance)
    spoiled[start + (100 if start == 0 else 0)] = PAGE_TYPES[number % len(PAGE_TYPES)]
    return bytes(spoiled)


def swap_pages(content: bytes, chance: Random, number: int) -> bytes:
    """Two pages in each other's place."""
    size = page_size(content)
    first, second = _page(content, chance), _page(content, chance)
    spoiled = bytearray(content)
    spoiled[first : first + size] = content[second : second + size]
    spoiled[second : second + size] = content[first : first + size]
    return bytes(spoiled)


def mangle_schema(content: bytes, chance: Random, number: int) -> bytes:
    """Words of the schema's SQL replaced by others of the same length."""
    words = (
        (b"CREATE TABLE", b"CREATE VIEWS"),
        (b"CREATE UNIQUE INDEX", b"CREATE VIRTUAL TABLE"[:19]),
        (b"NOT NULL", b"CHECK(0)"),
        (b"integer", b"blob/**"),
        (b"PRIMARY KEY", b"UNIQUE     "),
        (b"REFERENCES", b"\0\0\0\0\0\0\0\0\0\0"),
        (b"django_", b"sqlite_"),
        (b"tasks", b"\xff\xfe\xfd\xfc\xfb"),
        (b"AUTOINCREMENT", b"             "),
        (b"varchar", b"((((((("),
        (b'"id"', b'"ID"'),
        (b"DEFERRABLE", b"ON DELETE "),
    )
    old, new = words[number % len(words)]
    places = [at for at in range(len(content)) if content.startswith(old, at)]
    if not places:
        return flip_bits(content, chance, number)
    spoiled = bytearray(content)
    for at in chance.sample(places, min(len(places), 1 + number // len(words) % 3)):
        spoiled[at : at + len(old)] = new
    return bytes(spoiled)


def not_a_database(content: bytes, chance: Random, number: int) -> bytes:
    """Other things that people upload, and the name of a database before them."""
    size = chance.choice((0, 1, 16, 99, 100, 511, 512, 4096, 70_000))
    noise = chance.randbytes(size)
    return (
        noise,
        MAGIC + noise,
        b"\x1f\x8b\x08" + noise,
        b"PK\x03\x04" + noise,
        content[:100] + noise,
        bytes(size),
        content[1:],
        content[::-1],
    )[number % 8]


def page_size(content: bytes) -> int:
    """Bytes a page."""
    size = int.from_bytes(content[16:18], "big")
    return 65536 if size == 1 else size


def with_count(content: bytes, count: int) -> bytes:
    """The same with another page count in the header, which says that it is to be trusted."""
    return content[:28] + count.to_bytes(4, "big") + content[32:92] + content[24:28] + content[96:]


def _page(content: bytes, chance: Random) -> int:
    """Where some page begins."""
    size = page_size(content)
    return chance.randrange(len(content) // size) * size


FAMILIES: dict[str, tuple[int, Spoil]] = {
    "bits": (280, flip_bits),
    "structure": (280, flip_structure),
    "scribbled": (160, scribble_pages),
    "cut": (120, cut_pages),
    "grown": (40, grow),
    "header": (240, change_header),
    "count": (40, promise_pages),
    "freelist": (80, loop_freelist),
    "tree": (120, loop_tree),
    "cells": (120, move_cells),
    "records": (160, stretch_records),
    "types": (80, change_types),
    "swapped": (80, swap_pages),
    "sql": (120, mangle_schema),
    "other": (40, not_a_database),
}
