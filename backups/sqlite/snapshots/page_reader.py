"""
The pages of a WAL database as they are between two commits, while others write. For a separate
process only: it opens the live files, and closing one drops the locks of the whole process
(https://www.sqlite.org/howtocorrupt.html, 2.2), so it never does before SQLite has closed.

No lock keeps a writer waiting. A read transaction keeps the pages where they are; the WAL index
tells where that is. Which commit the transaction sees is known by this order, within one
generation of the WAL (wal.c: walTryBeginRead, walCheckpoint, walRestartHdr):

1. read the index header;
2. begin to read: SQLite takes the newest header, and a read mark;
3. read how much of the WAL is backfilled;
4. read the header again. It must be the same to the bit. Each commit changes it, and it never
   comes back, so the transaction sees just this commit, and the number of (3) belongs to it: a
   WAL that is restarted changes the header first, the number after that.

If everything was backfilled, the main file is complete. Checkpoints can't write to it what is
newer than a reader's mark; writers may restart the WAL, so it must not be looked at.
Otherwise more was missing when the transaction began, so that it has a mark in the WAL: that can't
be restarted while the transaction lives, and its frames, the last one of each page, lie over the
main file. A checkpoint that copies them there writes the same bytes.

Source: https://www.sqlite.org/walformat.html
"""

import os
import sqlite3
import time

from backups.sqlite.folder.sharing import share_sidecars
from backups.sqlite.format import header, wal_index
from backups.sqlite.format.wal_index import WalIndexHeader

BUSY_SECONDS = 5.0  # for a writer that commits, one that recovers the WAL, or the last to close
TRIES = 50  # between two tries to keep writers out
SECONDS = 5.0  # for all of them; one takes less than a millisecond
PAUSE = 0.001  # seconds, while a writer is at work
LONGEST_PIECE = 1024 * 1024  # 1 MiB: what a pipe takes at once

Piece = tuple[int, int, int]  # an open file, where in it, and how many bytes


class ImpossibleError(Exception):
    """The database can't be read in this way; SQLite itself may well be able to copy it."""


class RollbackModeError(ImpossibleError):
    """It is not in WAL mode: a read transaction keeps every writer waiting."""


class Pages:
    """One consistent state of the database, as a file of ``size`` bytes that stands alone."""

    is_copied = False
    locked_seconds = 0.0  # no writer waits

    def __init__(self, uri: str, path: str) -> None:
        """
        Open the database and keep its state of this moment, until ``close``.

        :param uri: of the database, for SQLite.
        :param path: of its real file.
        :raises RollbackModeError: it is not in WAL mode.
        :raises ImpossibleError: its WAL index is not as we know it.
        :raises sqlite3.OperationalError: SQLite can't use it now, e.g. it is locked exclusively.
        :raises sqlite3.DatabaseError: it is damaged, or no database.
        :raises OSError: a file can't be opened or read.
        """
        self._uri = uri
        self._reader = _connect(uri, timeout=BUSY_SECONDS)
        # This is the first look into the file: now the sidecars are there, and will stay.
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
        """By how many bytes the WAL has become longer since then."""
        return os.fstat(self._wal).st_size - self._wal_bytes

    def piece(self, offset: int) -> Piece:
        """
        Tell where the bytes from ``offset`` on are: as many as lie together in one file.

        :param offset: less than ``size``.
        """
        page, within = divmod(offset, self._page_size)
        page += 1
        if page == 1:
            return self._made, within, self._page_size - within
        if frame := self._frame_of(page):
            position = wal_index.position_of(frame, self._page_size) + within
            return self._wal, position, self._page_size - within
        length = min(LONGEST_PIECE, self._bytes_until_frame(page) - within)
        if offset >= self._main_bytes:  # free pages that nobody has ever written
            return self._made, self._page_size, length
        return self._main, offset, min(length, self._main_bytes - offset)

    def close(self) -> None:
        """Release the state. No piece may be read any more."""
        self._reader.close()

    # The moment

    def _begin(self) -> tuple[WalIndexHeader, int, bool]:
        """Begin to read. Tells the moment, how many pages, and if the main file is complete."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for _ in range(TRIES):
                if begun := self._try_to_begin():
                    return begun
            if begun := self._begin_without_commits():  # they come too fast for us
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
        """Try while writers are kept out, for about a millisecond; not while one is at work."""
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
        """How many bytes from the start of this page on lie together in the main file."""
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

        The page count in it counts only if it was stored at the last change (an old SQLite did
        not), and it is what a snapshot's length is compared with.
        """
        frame = 0
        if self._is_overlaid:
            frame = wal_index.find_frame(self._index, self._header, 1)
        if frame:
            position = wal_index.position_of(frame, self._page_size)
            page = bytearray(os.pread(self._wal, self._page_size, position))
        else:
            page = bytearray(os.pread(self._main, self._page_size, 0))
        page[header.VERSIONS] = bytes([header.ROLLBACK_JOURNAL] * 2)
        header.set_page_count(page, self._page_count)
        return bytes(page)


def _connect(uri: str, *, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
