"""
The pages of a database that is not in WAL mode. For a process of its own only, as ``pages.py``.

A read transaction of it is SQLite's SHARED lock. As long as it is held no commit can reach the
file, which is exact, and every writer waits. So the file is copied at the speed of the disk, or
at once where the file system can share its blocks, and the lock is given back before anything is
sent or compacted. ``VACUUM INTO`` would hold it several times as long.

Source: https://www.sqlite.org/lockingv3.html
"""

import os
import sqlite3
import time

from backups.sqlite.pages import CHANGES, PAGE_COUNT, VALID_FOR, ImpossibleError, Piece
from backups.sqlite.spool import Spool

BUSY_SECONDS = 5.0  # for a writer that commits
READ_BYTES = 1024 * 1024  # 1 MiB


class CopiedPages:
    """One consistent state of the database, in a file of ours that has no name."""

    wal_growth = 0  # there is none
    is_copied = True

    def __init__(self, uri: str, path: str) -> None:
        """
        Copy it beside the database. Writers wait for ``locked_seconds``.

        :param uri: of the database, for SQLite.
        :param path: of its real file.
        :raises ImpossibleError: it is in WAL mode by now, or the disk has no room for a copy.
        :raises sqlite3.Error: SQLite can't read it now, or it is damaged.
        :raises OSError: a file can't be opened or read.
        """
        with _Locked(uri, path) as locked:
            spool = Spool.create(path, 0, locked.size)
            if spool is None:
                raise ImpossibleError("the disk has no room for a copy of it")
            locked.fill(spool)
        self.size, self.locked_seconds = locked.size, locked.seconds
        self.piece = spool.piece

    def close(self) -> None:
        """Nothing is held."""


def copy_pages(uri: str, path: str, descriptor: int) -> float:
    """
    Fill an empty file with the pages, as ``CopiedPages`` does.

    :returns: for how many seconds writers had to wait.
    :raises Exception: as above.
    """
    with _Locked(uri, path) as locked:
        locked.fill(Spool(descriptor, 0, locked.size))
    return locked.seconds


class _Locked:
    """The live file, while no commit can reach it."""

    def __init__(self, uri: str, path: str) -> None:
        self._main = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._reader = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        self.seconds = 0.0

    def __enter__(self) -> "_Locked":
        try:
            self._read_ahead()
            self._lock()
        except BaseException:
            self._reader.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.seconds = time.monotonic() - self._locked_at

    def fill(self, spool: Spool) -> None:
        """Copy all pages. They have to fit, or it fails."""
        while spool.written < self.size:
            if not spool.add(self._piece):
                raise ImpossibleError("its pages could not be copied: the disk may be full")
        spool.overwrite(self._counted_head())

    def _piece(self, offset: int) -> Piece:
        return self._main, offset, self.size - offset

    def _read_ahead(self) -> None:
        """What is in memory already is copied faster, while writers wait."""
        buffer, offset = bytearray(READ_BYTES), 0
        while count := os.preadv(self._main, [buffer], offset):
            offset += count

    def _lock(self) -> None:
        """The first look into the file, which rolls back what a killed writer left in it."""
        self._reader.execute("BEGIN")
        (pages,) = self._reader.execute("PRAGMA page_count").fetchone()
        self._locked_at = time.monotonic()
        (page_size,) = self._reader.execute("PRAGMA page_size").fetchone()
        (mode,) = self._reader.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal" or not pages:
            raise ImpossibleError("it is in WAL mode by now" if pages else "it is empty")
        self.size: int = pages * page_size
        self._pages: int = pages

    def _counted_head(self) -> bytes:
        """The header with the page count in it, which an old SQLite left out."""
        head = bytearray(os.pread(self._main, 100, 0))
        head[PAGE_COUNT] = self._pages.to_bytes(4, "big")
        head[VALID_FOR] = head[CHANGES]
        return bytes(head)
