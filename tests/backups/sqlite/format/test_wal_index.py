"""The index of a WAL, as real connections keep it."""

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backups.sqlite.format import wal_index

BLOCK = 4096  # page numbers in one block of the index, and 34 fewer in the first


@contextmanager
def database(folder: Path, *, page_size: int = 512) -> Iterator[tuple[sqlite3.Connection, int]]:
    """In WAL mode; nothing is ever checkpointed. And its index, open for reading."""
    connection = sqlite3.connect(folder / "tasks.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(f"PRAGMA page_size={page_size}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, content BLOB)")
    index = os.open(folder / "tasks.db-shm", os.O_RDONLY)
    yield connection, index
    connection.close()
    os.close(index)  # not before: that would drop the locks of the connection


@contextmanager
def index_of(content: bytes, folder: Path) -> Iterator[int]:
    """An index that no connection has."""
    (folder / "index").write_bytes(content)
    descriptor = os.open(folder / "index", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> wal_index.WalIndexHeader:
    """The header, which must be readable."""
    header = wal_index.read_header(descriptor)
    assert header is not None
    return header


def write(connection: sqlite3.Connection, *, rows: int = 3, size: int = 400) -> None:
    """Commit some rows."""
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO items (content) VALUES (?)", [(bytes(size),) for _ in range(rows)]
    )
    connection.execute("COMMIT")


def frames_of_the_log(log: bytes, page_size: int, last: int) -> dict[int, int]:
    """The last frame of each page, read from the WAL itself and not from its index."""
    found = {}
    for frame in range(1, last + 1):
        at = wal_index.position_of(frame, page_size) - wal_index.FRAME_HEADER_BYTES
        (page,) = struct.unpack_from(">I", log, at)
        found[page] = frame
    return found


@pytest.mark.parametrize("page_size", [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
def test_header_tells_what_the_last_commit_made(page_size: int, tmp_path: Path) -> None:
    with database(tmp_path, page_size=page_size) as (connection, index):
        write(connection)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        header = read(index)
        assert (header.page_size, header.page_count) == (page_size, pages)
        log = (tmp_path / "tasks.db-wal").stat().st_size
        assert wal_index.position_of(header.last_frame + 1, page_size) == log + 24


def test_commit_changes_the_header_and_a_rollback_does_not(tmp_path: Path) -> None:
    with database(tmp_path) as (connection, index):
        before = read(index).raw
        connection.execute("PRAGMA cache_size=1")  # so that it writes before it commits
        connection.execute("BEGIN")
        for _ in range(300):
            connection.execute("INSERT INTO items (content) VALUES (zeroblob(900))")
        connection.execute("ROLLBACK")
        assert (tmp_path / "tasks.db-wal").stat().st_size > 100_000
        assert read(index).raw == before
        write(connection, rows=1)
        assert read(index).raw != before


def test_backfilled_is_what_a_checkpoint_has_copied(tmp_path: Path) -> None:
    with database(tmp_path) as (connection, index):
        write(connection)
        assert wal_index.read_backfilled(index) == 0
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert wal_index.read_backfilled(index) == read(index).last_frame > 0


@pytest.mark.parametrize("frames", [1, BLOCK - 35, BLOCK - 34, BLOCK - 33, 3 * BLOCK])
def test_last_frame_of_each_page_is_found(frames: int, tmp_path: Path) -> None:
    """Also where the page numbers begin a new block of the index, to the frame."""
    with database(tmp_path) as (connection, index):
        write(connection, rows=700, size=450)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for row in range(1, frames + 1):  # a frame each
            connection.execute(
                "UPDATE items SET content = randomblob(450) WHERE id = ?", (row * 7 % 700 + 1,)
            )
        header = read(index)
        assert header.last_frame == frames
        log = (tmp_path / "tasks.db-wal").read_bytes()
        expected = frames_of_the_log(log, 512, header.last_frame)
        found = wal_index.find_frames(index, header)
        pages = range(1, header.page_count + 1)
        assert [found[page] for page in pages] == [expected.get(page, 0) for page in pages]
        assert len(expected) == min(frames, 100)
        for page in pages:
            assert wal_index.find_frame(index, header, page) == expected.get(page, 0)


def test_number_that_lies_across_two_others_is_not_taken_for_a_page(tmp_path: Path) -> None:
    """The last byte of one and the first bytes of the next look like page 1."""
    across = struct.unpack("=2I", b"\xaa\xaa\xaa" + struct.pack("=I", 1) + b"\xaa")
    numbers = struct.pack("=7I", 1, *across, *across, *across)
    header = wal_index.WalIndexHeader(bytes(16) + struct.pack("=2I", 7, 9) + bytes(24))
    with index_of(bytes(136) + numbers, tmp_path) as index:
        assert wal_index.find_frame(index, header, 1) == 1
    with index_of(bytes(136) + numbers[4:] + bytes(4), tmp_path) as index:
        assert wal_index.find_frame(index, header, 1) == 0


def test_pages_after_the_last_one_do_not_count(tmp_path: Path) -> None:
    """The database has shrunk: the frames of pages that it had are still in the WAL."""
    with database(tmp_path) as (connection, index):
        write(connection, rows=100)
        connection.execute("DELETE FROM items")
        connection.execute("VACUUM")
        header = read(index)
        frames = wal_index.find_frames(index, header)
        assert len(frames) == header.page_count + 1 < 100 < header.last_frame


@pytest.mark.parametrize("at", range(0, 96, 5))
def test_header_that_is_being_changed_is_not_believed(at: int, tmp_path: Path) -> None:
    with database(tmp_path) as (connection, index):
        write(connection)
        content = bytearray(os.pread(index, 32768, 0))
    content[at] ^= 1
    with index_of(bytes(content), tmp_path) as changed:
        assert wal_index.read_header(changed) is None, "one of the two copies"
    content[(at + 48) % 96] ^= 1
    with index_of(bytes(content), tmp_path) as changed:
        assert wal_index.read_header(changed) is None, "both, and the checksum is wrong"


@pytest.mark.parametrize("content", [b"", bytes(48), bytes(32768)])
def test_header_that_nobody_wrote_is_none(content: bytes, tmp_path: Path) -> None:
    with index_of(content, tmp_path) as index:
        assert wal_index.read_header(index) is None


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with database(tmp_path) as (_, index):
        content = os.pread(index, 32768, 0)
    header = struct.pack("=I", wal_index.VERSION + 1) + content[4:40]
    header += wal_index._checksum(header)
    with (
        index_of(header + header + content[96:], tmp_path) as changed,
        pytest.raises(wal_index.UnknownIndexError, match="3007001"),
    ):
        wal_index.read_header(changed)


def test_index_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with database(tmp_path) as (connection, index):
        write(connection)
        header, content = read(index), os.pread(index, 140, 0)
    with (
        index_of(content, tmp_path) as cut,
        pytest.raises(wal_index.UnknownIndexError, match="shorter"),
    ):
        wal_index.find_frames(cut, header)
