"""
The pages of a database that is not in WAL mode. For a separate process only, as page_reader.py.

A read transaction holds SQLite's SHARED lock. While it is held, no commit can reach the file, so
its content is exact, but every writer waits. So we do as little as possible under the lock:

1. Where the file system can share blocks (XFS, btrfs), we clone the file under the lock, which
   takes no time.
2. Elsewhere we copy it without the lock, while writers continue. The copy may be torn. It is synced
   piece by piece, so that no commit has to wait for a busy disk.
3. Under the lock we read the file again, and copy each block whose SHA-256 has changed.

Source: https://www.sqlite.org/lockingv3.html
"""

import fcntl
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backups.sqlite.format import header
from backups.sqlite.format.connection import uri as uri_of
from backups.sqlite.snapshots.page_reader import ImpossibleError
from backups.sqlite.snapshots.spool import Spool

if TYPE_CHECKING:
    from backups.sqlite.snapshots.counting import Counting

BUSY_SECONDS = 30.0  # for writers that pause only briefly between two commits
BLOCK_BYTES = 64 * 1024  # compared and copied as one
READ_BYTES = 1024 * 1024  # 1 MiB
SYNC_BYTES = 8 * READ_BYTES
FICLONE = 0x40049409  # ioctl_ficlone(2)


class CopiedPages:
    """One consistent state of the database, copied to a file that has no name."""

    wal_growth = 0  # there is no WAL
    is_copied = True

    def __init__(self, uri: str, path: str, floor: int = 0) -> None:
        """
        Copy it beside the database. Writers wait for ``locked_seconds``.

        :param uri: of the database, for SQLite.
        :param path: of its real file.
        :param floor: how many free bytes of the disk are reserved for the site.
        :raises ImpossibleError: it is empty or in WAL mode now, or the disk has no room for a copy.
        :raises sqlite3.Error: SQLite can't read it now, or it is damaged.
        :raises OSError: a file can't be opened or read.
        """
        spool = Spool.create(path, 0, os.stat(path).st_size, floor, named=self._open)
        if spool is None:
            raise ImpossibleError("no copy of it could be written beside it")
        self._counting: Counting | None = None
        self.locked_seconds, self.size = copy_pages(uri, path, spool.descriptor)
        self.piece = Spool(spool.descriptor, 0, self.size).piece

    def count(self, pipe: int) -> None:
        """As ``Pages.count``, of the copy."""
        from backups.sqlite.snapshots.counting import Counting

        self._counting = Counting(self._connection, pipe)

    def _open(self, copy: Path) -> None:
        """
        Open the copy, still empty, while it has a name: SQLite finds no file without one. It reads
        nothing of it before the first query. (Of an "immutable" one it would keep the size.)
        """
        self._connection = sqlite3.connect(
            f"{uri_of(copy, mode='ro')}&nolock=1", uri=True, check_same_thread=False
        )

    def stop(self) -> None:
        """As ``Pages.stop``."""
        if self._counting is not None:
            self._counting.stop()

    def close(self) -> None:
        """Wait until the rows are counted. No transaction is open any more."""
        if self._counting is not None:
            self._counting.end()
            self._counting = None


def copy_pages(uri: str, path: str, copy: int) -> tuple[float, int]:
    """
    Fill an empty file with the pages, as they are at one moment between two commits.

    :returns: for how many seconds writers had to wait, and the number of bytes.
    :raises Exception: as ``CopiedPages``.
    """
    with closing(_Copying(uri, path, copy)) as copying:
        if not copying.clone():
            copying.copy_unlocked()
            copying.complete()
    return copying.locked_seconds, copying.size


class _Copying:
    """The live file, whose descriptor is never closed, and its copy."""

    def __init__(self, uri: str, path: str, copy: int) -> None:
        self._main, self._copy = os.open(path, os.O_RDONLY | os.O_CLOEXEC), copy
        self._reader = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        self._digests: dict[int, bytes] = {}  # by offset: the file may become shorter, and grow
        self._buffer = memoryview(bytearray(READ_BYTES))
        self.locked_seconds, self.size, self._page_count = 0.0, 0, 0

    def close(self) -> None:
        self._reader.close()

    def clone(self) -> bool:
        """Share the blocks of the file. Returns False if its file system can't."""
        with self._locked():
            try:
                fcntl.ioctl(self._copy, FICLONE, self._main)
            except OSError:
                return False
            self._finish()
        return True

    def copy_unlocked(self) -> None:
        """Copy each block, and remember its SHA-256."""
        for offset, block in self._blocks(os.fstat(self._main).st_size):
            self._write(offset, block)
            self._digests[offset] = hashlib.sha256(block).digest()
            if offset % SYNC_BYTES == 0:
                os.fdatasync(self._copy)
        os.fdatasync(self._copy)

    def complete(self) -> None:
        """Copy the blocks that have changed, while nobody can commit."""
        with self._locked():
            for offset, block in self._blocks(self.size):
                if hashlib.sha256(block).digest() != self._digests.get(offset):
                    self._write(offset, block)
            self._finish()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The first read of the file rolls back what a killed writer left in it."""
        self._reader.execute("BEGIN")
        try:
            (self._page_count,) = self._reader.execute("PRAGMA page_count").fetchone()
            began = time.monotonic()
            (page_size,) = self._reader.execute("PRAGMA page_size").fetchone()
            (mode,) = self._reader.execute("PRAGMA journal_mode").fetchone()
            if mode == "wal" or not self._page_count:
                raise ImpossibleError("it is in WAL mode now" if mode == "wal" else "it is empty")
            self.size = self._page_count * page_size
            yield
        finally:
            self._reader.execute("ROLLBACK")
        self.locked_seconds = max(self.locked_seconds, time.monotonic() - began)

    def _blocks(self, until: int) -> Iterator[tuple[int, memoryview]]:
        for start in range(0, until, READ_BYTES):
            wanted = min(READ_BYTES, until - start)
            count = os.preadv(self._main, [self._buffer[:wanted]], start)
            for within in range(0, count, BLOCK_BYTES):
                yield start + within, self._buffer[within : min(within + BLOCK_BYTES, count)]

    def _write(self, offset: int, block: memoryview) -> None:
        try:
            written = os.pwrite(self._copy, block, offset)
        except OSError as error:
            raise ImpossibleError(f"its pages could not be copied: {error.strerror}") from error
        if written < len(block):
            raise ImpossibleError("its pages could not be copied: the disk may be full")

    def _finish(self) -> None:
        """Cut what is behind the last page, and store the page count in the header."""
        if os.fstat(self._copy).st_size < self.size:
            raise OSError("the file is shorter than its page count says")
        os.ftruncate(self._copy, self.size)
        head = bytearray(header.read(self._copy))
        header.set_page_count(head, self._page_count)
        os.pwrite(self._copy, head, 0)
