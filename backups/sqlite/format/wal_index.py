"""
Read the index of a WAL, which SQLite keeps in the ``-shm``: how far the WAL is committed, and
which page is in which frame. Uses a descriptor, not SQLite, and writes nothing.

Numbers are in native byte order. What is read here does not change while a read transaction that
began at that moment is open.

Sources: https://www.sqlite.org/walformat.html#the_wal_index_file_format; wal.c.
"""

import mmap
import os
import struct
from array import array

VERSION = 3_007_000  # of the format; SQLite has never used another
# Version, unused, change counter, initialized, big-endian checksums, page size, last frame,
# pages, the checksum of the last frame, two salts, the checksum of all this.
_HEADER = struct.Struct("=3I2BH8I")
_BACKFILLED = struct.Struct("=I")
_BACKFILLED_AT = 2 * _HEADER.size  # the header is stored twice
_MASK = 0xFFFFFFFF

FRAME_HEADER_BYTES = 24
WAL_HEADER_BYTES = 32

_BLOCK_BYTES = 32 * 1024  # 4,096 page numbers and their hash table
_BLOCK_PAGES = 4096
_HEAD_PAGES = 34  # page numbers that the headers and locks of the first block displace: 136 bytes


class UnknownIndexError(Exception):
    """The WAL index has a format that this module does not know."""


class WalIndexHeader:
    """How far the WAL is committed, at one moment."""

    __slots__ = ("last_frame", "page_count", "page_size", "raw")

    def __init__(self, raw: bytes) -> None:
        """:param raw: the 48 bytes of one valid header."""
        fields = _HEADER.unpack(raw)
        self.raw = raw
        self.page_size = 65536 if fields[5] == 1 else fields[5]  # bytes; 0: nothing written yet
        self.last_frame = fields[6]  # counted from 1; 0: the WAL is empty
        self.page_count = fields[7]  # of the database, after that frame


def read_header(index: int) -> WalIndexHeader | None:
    """
    Read the header of an open ``-shm``; None while SQLite is changing it or has not written it.

    :raises UnknownIndexError: its format is not ``VERSION``.
    """
    raw = os.pread(index, 2 * _HEADER.size, 0)
    first, second = raw[: _HEADER.size], raw[_HEADER.size :]
    if first != second or len(second) < _HEADER.size:
        return None
    version, _, _, is_initialized, *_ = _HEADER.unpack(first)
    if not is_initialized or first[-8:] != _checksum(first[:-8]):
        return None
    if version != VERSION:
        raise UnknownIndexError(f"the WAL index has the format {version}")
    return WalIndexHeader(first)


def read_backfilled(index: int) -> int:
    """The number of frames, from the first, that are already in the main file."""
    (frame,) = _BACKFILLED.unpack(os.pread(index, _BACKFILLED.size, _BACKFILLED_AT))
    return int(frame)


def find_frame(index: int, header: WalIndexHeader, page: int) -> int:
    """Find the last frame that holds this page; 0 if none does. Recent frames are found fast."""
    wanted = struct.pack("=I", page)
    last = header.last_frame
    while last:
        first = _first_of_block(last)
        numbers = _page_numbers(index, first, last).tobytes()
        at = numbers.rfind(wanted)
        while at > 0 and at % 4:  # this match spans two numbers
            at = numbers.rfind(wanted, 0, at + len(wanted) - 1)
        if at >= 0:
            return first + at // 4
        last = first - 1
    return 0


def find_frames(index: int, header: WalIndexHeader) -> memoryview:
    """
    Find the last frame of each page: item *n* is for page *n*, 0 if no frame holds it.

    Ignores frames after ``header.last_frame`` and pages after ``header.page_count``. Memory use
    grows with the pages that have a frame, not with the database.
    """
    pages = header.page_count
    frames = memoryview(mmap.mmap(-1, 4 * (pages + 1))).cast("I")
    frame = 0
    while frame < header.last_frame:
        for page in _page_numbers(index, frame + 1, header.last_frame):
            frame += 1
            if page <= pages:
                frames[page] = frame
    return frames


def position_of(frame: int, page_size: int) -> int:
    """The offset in the ``-wal`` of this frame's page, in bytes."""
    return WAL_HEADER_BYTES + (frame - 1) * (FRAME_HEADER_BYTES + page_size) + FRAME_HEADER_BYTES


def _first_of_block(frame: int) -> int:
    """The first frame whose page number is in the same block as this one's."""
    return max(1, (frame - 1 + _HEAD_PAGES) // _BLOCK_PAGES * _BLOCK_PAGES - _HEAD_PAGES + 1)


def _page_numbers(index: int, first: int, last: int) -> "array[int]":
    """The page numbers of these frames, up to the end of the first one's block."""
    block, place = divmod(first - 1 + _HEAD_PAGES, _BLOCK_PAGES)
    count = min(_BLOCK_PAGES - place, last - first + 1)
    numbers = array("I", os.pread(index, 4 * count, block * _BLOCK_BYTES + 4 * place))
    if len(numbers) != count:
        raise UnknownIndexError("the WAL index is shorter than its header says")
    return numbers


def _checksum(content: bytes) -> bytes:
    one = two = 0
    for first, second in struct.iter_unpack("=2I", content):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return struct.pack("=2I", one, two)
