"""
Read and rewrite the entries of one index, page by page, as SQLite itself never would.

Entries are records: lists of fields, each with its serial type and its bytes. The pages stay well
formed, so only a look at what the entries say can find what was done to them.

Source: https://www.sqlite.org/fileformat2.html (1.6 B-tree Pages, 2.1 Record Format)
"""

import struct
from dataclasses import dataclass, field

from tests.corpus.damage import page_size

INNER, LEAF = 2, 10  # page types of an index
Field = tuple[int, bytes]
Record = list[Field]


class NoRoomError(Exception):
    """The page has no room for this entry, or it can't be changed in its place."""


@dataclass
class Cell:
    """One entry: its record, the child to the left of it in an inner page, and its overflow."""

    record: Record
    child: int = 0
    overflow: list[int] = field(default_factory=list)


@dataclass
class Page:
    """One page of an index."""

    number: int
    cells: list[Cell]
    right: int = 0  # the last child of an inner page


@dataclass(frozen=True)
class Place:
    """Where an entry is."""

    page: int
    cell: int
    is_inner: bool


class Tree:
    """All entries of one index, in its order."""

    def __init__(self, content: bytes, root: int) -> None:
        self.content = bytearray(content)
        self.size = page_size(content)
        self.usable = self.size - content[20]
        self.pages: dict[int, Page] = {}
        self.places: list[Place] = []
        self._read(root)

    def __getitem__(self, place: Place) -> Record:
        return self.pages[place.page].cells[place.cell].record

    def replace(self, place: Place, record: Record) -> None:
        """Let an entry say something else."""
        cell = self.pages[place.page].cells[place.cell]
        if cell.overflow and len(encode(record)) != len(encode(cell.record)):
            raise NoRoomError
        cell.record = record
        self._write(place.page)

    def remove(self, place: Place) -> None:
        """Take an entry out. That of an inner page gives its place to the one before it."""
        if place.is_inner:
            before = self._before(place)
            self.swap(place, before)
            place = before
        page = self.pages[place.page]
        if page.cells[place.cell].overflow or len(page.cells) == 1:
            raise NoRoomError
        del page.cells[place.cell]
        self._write(place.page)

    def insert(self, place: Place, record: Record) -> None:
        """Add an entry before this one; in an inner page, in place of this, which moves down."""
        if place.is_inner:
            leaf = self._before(place)
            old = self[place]
            self.replace(place, record)
            place, record = Place(leaf.page, leaf.cell + 1, is_inner=False), old
        self.pages[place.page].cells.insert(place.cell, Cell(record))
        self._write(place.page)

    def swap(self, one: Place, other: Place) -> None:
        """Exchange two entries, with their overflow."""
        first = self.pages[one.page].cells[one.cell]
        second = self.pages[other.page].cells[other.cell]
        first.record, second.record = second.record, first.record
        first.overflow, second.overflow = second.overflow, first.overflow
        self._write(one.page)
        self._write(other.page)

    def _before(self, place: Place) -> Place:
        return self.places[self.places.index(place) - 1]

    def _read(self, number: int) -> None:
        start = (number - 1) * self.size
        kind, _, count = struct.unpack_from(">BHH", self.content, start)
        assert kind in (INNER, LEAF)
        is_inner = kind == INNER
        head = start + (12 if is_inner else 8)
        pointers = struct.unpack_from(f">{count}H", self.content, head)
        page = self.pages[number] = Page(number, [])
        for index, pointer in enumerate(pointers):
            cell = self._cell(start + pointer, is_inner=is_inner)
            page.cells.append(cell)
            if is_inner:
                self._read(cell.child)
            self.places.append(Place(number, index, is_inner))
        if is_inner:
            (page.right,) = struct.unpack_from(">I", self.content, start + 8)
            self._read(page.right)

    def _cell(self, at: int, *, is_inner: bool) -> Cell:
        child = 0
        if is_inner:
            (child,) = struct.unpack_from(">I", self.content, at)
            at += 4
        total, at = read_varint(self.content, at)
        local = self._local(total)
        payload, overflow = bytes(self.content[at : at + local]), []
        following = struct.unpack_from(">I", self.content, at + local)[0] if local < total else 0
        while following:
            overflow.append(following)
            start = (following - 1) * self.size
            payload += self.content[start + 4 : start + self.usable]
            (following,) = struct.unpack_from(">I", self.content, start)
        return Cell(decode(payload[:total]), child, overflow)

    def _write(self, number: int) -> None:
        page, start = self.pages[number], (number - 1) * self.size
        body, pointers = b"", []
        for cell in page.cells:
            raw = self._raw(cell, is_inner=page.right > 0)
            body = raw + body
            pointers.append(self.usable - len(body))
        if len(body) + 2 * len(pointers) + (12 if page.right else 8) > self.usable:
            raise NoRoomError
        kind = INNER if page.right else LEAF
        head = struct.pack(">BHHHB", kind, 0, len(pointers), (self.usable - len(body)) % 65536, 0)
        head += struct.pack(">I", page.right) if page.right else b""
        head += struct.pack(f">{len(pointers)}H", *pointers)
        free = bytes(self.usable - len(head) - len(body))
        self.content[start : start + self.usable] = head + free + body

    def _raw(self, cell: Cell, *, is_inner: bool) -> bytes:
        payload = encode(cell.record)
        local = self._local(len(payload))
        if bool(cell.overflow) != (local < len(payload)):
            raise NoRoomError
        rest = payload[local:]
        for number in cell.overflow:
            start = (number - 1) * self.size + 4
            part, rest = rest[: self.usable - 4], rest[self.usable - 4 :]
            self.content[start : start + len(part)] = part
        raw = struct.pack(">I", cell.child) if is_inner else b""
        raw += write_varint(len(payload)) + payload[:local]
        raw += struct.pack(">I", cell.overflow[0]) if cell.overflow else b""
        return raw.ljust(4, b"\0")  # no cell is shorter

    def _local(self, total: int) -> int:
        """How many bytes of a record its own page holds."""
        most = (self.usable - 12) * 64 // 255 - 23
        least = (self.usable - 12) * 32 // 255 - 23
        if total <= most:
            return total
        local = least + (total - least) % (self.usable - 4)
        return local if local <= most else least


def decode(payload: bytes) -> Record:
    """The fields of a record."""
    end, at = read_varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = read_varint(payload, at)
        kinds.append(kind)
    record = []
    for kind in kinds:
        record.append((kind, payload[at : at + length(kind)]))
        at += length(kind)
    return record


def encode(record: Record) -> bytes:
    """A record of these fields."""
    kinds = b"".join(write_varint(kind) for kind, _ in record)
    assert len(kinds) < 127
    return write_varint(len(kinds) + 1) + kinds + b"".join(value for _, value in record)


def length(kind: int) -> int:
    """Bytes of a value, by its serial type."""
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind] if kind < 12 else (kind - 12) // 2


def integer(number: int) -> Field:
    """As SQLite never stores a small one: in eight bytes."""
    return 6, number.to_bytes(8, "big", signed=True)


def text(words: bytes) -> Field:
    """Text, in the encoding of the database."""
    return 13 + 2 * len(words), words


def read_varint(content: bytes | bytearray, at: int) -> tuple[int, int]:
    """The number that begins here, and where it ends."""
    number = 0
    for _ in range(8):
        byte = content[at]
        at += 1
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at
    return number << 8 | content[at], at + 1


def write_varint(number: int) -> bytes:
    """A number below 2**56."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))
