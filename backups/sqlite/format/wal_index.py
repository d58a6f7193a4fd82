"""
The index of a WAL, which SQLite keeps in the ``-shm``: how far the WAL is committed, and which
page is in which of its frames. Read through a descriptor, without SQLite; nothing is written.

Numbers are in the machine's own byte order. All that is read here stays as it is for as long as
a read transaction of that moment is open.

Sources: https://www.sqlite.org/walformat.html#the_wal_index_file_format; wal.c.
"""

import mmap
import os
import struct
from array import array

VERSION = 3_007_000  # of the format, the only one that there has ever been
# Version, unused, change counter, initialized, big-endian checksums, page size, last frame,
# pages, the checksum of the last frame, two salts, the checksum of all this.
_HEADER = struct.Struct("=3I2BH8I")
_BACKFILLED = struct.Struct("=I")
_BACKFILLED_AT = 2 * _HEADER.size  # the header is there twice
_MASK = 0xFFFFFFFF

FRAME_HEADER_BYTES = 24
WAL_HEADER_BYTES = 32

_BLOCK_BYTES = 32 * 1024  # 4,096 page numbers and the hash table of them
_BLOCK_PAGES = 4096
_HEAD_PAGES = 34  # what the two headers and the locks take of the first block: 136 bytes


class UnknownIndexError(Exception):
    """This is not the index that we know how to read."""


class WalIndexHeader:
    """How far the WAL is committed, at one moment."""

    __slots__ = ("last_frame", "page_count", "page_size", "raw")

    def __init__(self, raw: bytes) -> None:
        """Takes apart the 48 bytes of one header, which must be whole."""
        fields = _HEADER.unpack(raw)
        self.raw = raw
        self.page_size = 65536 if fields[5] == 1 else fields[5]  # bytes; 0: nobody wrote yet
        self.last_frame = fields[6]  # counted from 1; 0: the WAL is empty
        self.page_count = fields[7]  # of the database, after that frame


def read_header(index: int) -> WalIndexHeader | None:
    """
    Read the header of an open ``-shm``.

    :returns: None if it is being changed at this moment, or nobody has written it yet.
    :raises UnknownIndexError: its format is not the known one.
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
    """Up to which frame everything is in the main file."""
    (frame,) = _BACKFILLED.unpack(os.pread(index, _BACKFILLED.size, _BACKFILLED_AT))
    return int(frame)


def find_frame(index: int, header: WalIndexHeader, page: int) -> int:
    """Find the last frame that holds this page; 0 if it has none. Quick for one of the newest."""
    wanted = struct.pack("=I", page)
    last = header.last_frame
    while last:
        first = _first_of_block(last)
        numbers = _page_numbers(index, first, last).tobytes()
        at = numbers.rfind(wanted)
        while at > 0 and at % 4:  # the end of one number and the start of the next
            at = numbers.rfind(wanted, 0, at + len(wanted) - 1)
        if at >= 0:
            return first + at // 4
        last = first - 1
    return 0


def find_frames(index: int, header: WalIndexHeader) -> memoryview:
    """
    Find for each page the last frame that holds it: item *n* is page *n*'s, 0 if it has none.

    Frames after ``header.last_frame`` do not count, nor do pages after ``header.page_count``.
    The memory that this takes is that of the pages that have a frame, not of the database.
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
    """Where in the ``-wal`` the page of this frame begins, in bytes."""
    return WAL_HEADER_BYTES + (frame - 1) * (FRAME_HEADER_BYTES + page_size) + FRAME_HEADER_BYTES


def _first_of_block(frame: int) -> int:
    """The first frame of those whose page numbers are in the same block as this one's."""
    return max(1, (frame - 1 + _HEAD_PAGES) // _BLOCK_PAGES * _BLOCK_PAGES - _HEAD_PAGES + 1)


def _page_numbers(index: int, first: int, last: int) -> "array[int]":
    """The page numbers of these frames, or of as many of them as are in the first's block."""
    block, place = divmod(first - 1 + _HEAD_PAGES, _BLOCK_PAGES)
    count = min(_BLOCK_PAGES - place, last - first + 1)
    numbers = array("I", os.pread(index, 4 * count, block * _BLOCK_BYTES + 4 * place))
    if len(numbers) != count:
        raise UnknownIndexError("the WAL index is shorter than its header says")
    return numbers


def _checksum(content: bytes) -> bytes:
    """The checksum of the WAL format, over pairs of numbers."""
    one = two = 0
    for first, second in struct.iter_unpack("=2I", content):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return struct.pack("=2I", one, two)
