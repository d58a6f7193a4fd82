"""
The pages of a WAL database as they are between two commits, while others write. For a separate
process only: it opens the live files, and closing one drops the locks of the whole process
(https://www.sqlite.org/howtocorrupt.html, 2.2). So it closes them only after SQLite has closed.

No writer waits for a lock. A read transaction keeps the pages in place, and the WAL index says
where they are. These steps, within one generation of the WAL, determine which commit the
transaction sees (wal.c: walTryBeginRead, walCheckpoint, walRestartHdr):

1. Read the index header.
2. Begin to read: SQLite takes the newest header, and a read mark.
3. Read how much of the WAL is backfilled.
4. Read the header again. It must be identical. Each commit changes it, and no header occurs twice,
   so the transaction sees exactly this commit. The number of (3) belongs to it too: when the WAL
   is restarted, its header changes first, and then this number.

If everything was backfilled, the main file is complete. A checkpoint can't write anything newer
than a reader's mark to it. Writers may restart the WAL, so it must not be read.
If not, at least as much was missing when the transaction began, so it has a mark in the WAL. Then
the WAL can't be restarted until the transaction ends, and the last frame of each page replaces the
page in the main file. A checkpoint that copies the frames there writes the same bytes.

Source: https://www.sqlite.org/walformat.html
"""

import os
import sqlite3
import time
from typing import TYPE_CHECKING

from backups.sqlite.folder.sharing import share_sidecars
from backups.sqlite.format import header, wal_index
from backups.sqlite.format.wal_index import WalIndexHeader

if TYPE_CHECKING:
    from backups.sqlite.snapshots.counting import Counting

BUSY_SECONDS = 5.0  # for a writer that commits, one that recovers the WAL, or the last to close
TRIES = 50  # before each attempt to lock writers out
SECONDS = 5.0  # for all tries together; one takes less than a millisecond
PAUSE = 0.001  # seconds, while a writer is active
LONGEST_PIECE = 1024 * 1024  # 1 MiB: what a pipe takes at once

Piece = tuple[int, int, int]  # an open file, the position in it, and the number of bytes


class ImpossibleError(Exception):
    """The database can't be read in this way, but SQLite may be able to copy it."""


class RollbackModeError(ImpossibleError):
    """The database is not in WAL mode: every writer would wait for a read transaction."""


class Pages:
    """One consistent state of the database, as a file of ``size`` bytes that needs no WAL."""

    is_copied = False
    locked_seconds = 0.0  # no writer waits

    def __init__(self, uri: str, path: str) -> None:
        """
        Open the database and keep its present state readable until ``close``.

        :param uri: of the database, for SQLite.
        :param path: of its real file.
        :raises RollbackModeError: it is not in WAL mode.
        :raises ImpossibleError: it is empty, or its WAL index is not what we expect.
        :raises sqlite3.OperationalError: SQLite can't use it now, e.g. it is locked exclusively.
        :raises sqlite3.DatabaseError: it is damaged, or not a database.
        :raises OSError: a file can't be opened or read.
        """
        self._uri = uri
        self._counting: Counting | None = None
        self._reader = _connect(uri, timeout=BUSY_SECONDS)
        # This is the first read of the file: from now on the sidecars exist, and stay.
        (mode,) = self._reader.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            self._reader.close()
            raise RollbackModeError(f"its journal mode is {mode}")
        share_sidecars(path)
        self._main, self._wal, self._index = (
            os.open(path + end, os.O_RDONLY | os.O_CLOEXEC) for end in ("", "-wal", "-shm")
        )
        self._header, self._page_count, is_complete = self._begin()
        self._page_size: int = self._reader.execute("PRAGMA page_size").fetchone()[0]
        self._check()
        self._is_overlaid = self._header.last_frame > 0 and not is_complete
        self._frames: memoryview | None = None
        self._main_bytes = os.fstat(self._main).st_size
        self._wal_bytes = os.fstat(self._wal).st_size
        self.size: int = self._page_count * self._page_size
        self._made = os.memfd_create("pages")  # the bytes that are in no file
        os.pwrite(self._made, self._first_page(), 0)
        os.ftruncate(self._made, self._page_size + LONGEST_PIECE)  # zeros

    @property
    def wal_growth(self) -> int:
        """By how many bytes the WAL has grown since then."""
        return os.fstat(self._wal).st_size - self._wal_bytes

    def piece(self, offset: int) -> Piece:
        """Where the bytes from ``offset`` (< ``size``) on are, as far as one file has them."""
        page, within = divmod(offset, self._page_size)
        page += 1
        if page == 1:
            return self._made, within, self._page_size - within
        if frame := self._frame_of(page):
            position = wal_index.position_of(frame, self._page_size) + within
            return self._wal, position, self._page_size - within
        length = min(LONGEST_PIECE, self._bytes_until_frame(page) - within)
        if offset >= self._main_bytes:  # free pages that were never written
            return self._made, self._page_size, length
        return self._main, offset, min(length, self._main_bytes - offset)

    def count(self, pipe: int) -> None:
        """Begin to count the rows of each table, in the same transaction, into this pipe."""
        from backups.sqlite.snapshots.counting import Counting

        self._counting = Counting(self._reader, pipe)

    def stop(self) -> None:
        """Stop counting: nobody waits for the result."""
        if self._counting is not None:
            self._counting.stop()

    def close(self) -> None:
        """Release the state, once the rows are counted. No piece may be read afterwards."""
        if self._counting is not None:
            self._counting.end()
            self._counting = None
        self._reader.close()

    # The read transaction

    def _begin(self) -> tuple[WalIndexHeader, int, bool]:
        """Begin to read. Returns the header, the page count, and if the main file is complete."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for _ in range(TRIES):
                if begun := self._try_to_begin():
                    return begun
            if begun := self._begin_without_commits():  # commits come too fast for us
                return begun
            time.sleep(PAUSE)
        raise ImpossibleError("its WAL index kept changing")

    def _try_to_begin(self) -> tuple[WalIndexHeader, int, bool] | None:
        before = wal_index.read_header(self._index)
        self._reader.execute("BEGIN")
        (page_count,) = self._reader.execute("PRAGMA page_count").fetchone()
        backfilled = wal_index.read_backfilled(self._index)
        after = wal_index.read_header(self._index)
        if before is None or after is None or before.raw != after.raw:
            self._reader.execute("ROLLBACK")
            return None
        return after, page_count, backfilled == after.last_frame

    def _begin_without_commits(self) -> tuple[WalIndexHeader, int, bool] | None:
        """Try while writers are locked out, for about a millisecond; not if one is active."""
        writer = _connect(self._uri, timeout=0.0)
        try:
            writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return None
        else:
            return self._try_to_begin()
        finally:
            writer.close()

    def _check(self) -> None:
        if self._page_count == 0:
            raise ImpossibleError("it is empty")
        if self._header.last_frame == 0:
            return
        found = (self._header.page_size, self._header.page_count)
        if found != (self._page_size, self._page_count):
            raise ImpossibleError("its WAL index does not agree with SQLite")

    # Where a page is

    def _frame_of(self, page: int) -> int:
        if not self._is_overlaid:
            return 0
        if self._frames is None:
            self._frames = wal_index.find_frames(self._index, self._header)
        return int(self._frames[page])

    def _bytes_until_frame(self, page: int) -> int:
        """How many bytes from the start of this page on are contiguous in the main file."""
        last = min(self._page_count, page + LONGEST_PIECE // self._page_size)
        if self._frames is None:
            return (last - page + 1) * self._page_size
        following = page + 1
        while following <= last and not self._frames[following]:
            following += 1
        return (following - page) * self._page_size

    def _first_page(self) -> bytes:
        """
        The first page, as it must be in a file without a WAL.

        Its page count is updated: a check compares it with the snapshot's length, and an old
        SQLite may not have stored it at the last change.
        """
        file, position = self._main, 0
        if self._is_overlaid and (frame := wal_index.find_frame(self._index, self._header, 1)):
            file, position = self._wal, wal_index.position_of(frame, self._page_size)
        page = bytearray(os.pread(file, self._page_size, position))
        page[header.VERSIONS] = bytes([header.ROLLBACK_JOURNAL] * 2)
        header.set_page_count(page, self._page_count)
        return bytes(page)


def _connect(uri: str, *, timeout: float) -> sqlite3.Connection:
    # Another thread counts with it, while this one only reads files.
    return sqlite3.connect(
        uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
    )
