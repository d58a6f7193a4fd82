"""
Send a page snapshot. Runs as a separate process.

On its standard output it reports that it runs, answers with a line of ``ANSWER_BYTES`` bytes, and
then sends the snapshot if it can. On its standard input the reader sends one byte when it has read
everything. If the input ends without this byte, the reader has gone, and this process ends too.

If the reader has not read everything after ``spool_after`` seconds, it gets the rest from a spool.
This ends the read transaction, which keeps SQLite from restarting its WAL:

    PAGES ──all sent, hashed and read──▶ no transaction, waits for the reader to confirm
    PAGES ──spool_after──▶ SPOOLING ──▶ no transaction, sends from the spool
    PAGES ──spool_after, no room on the disk──▶ PAGES, as long as the WAL does not grow much

If a database is not in WAL mode, writers wait while it is read. So it is copied completely before
the answer is sent.

Without room for a spool the process keeps sending: a full disk is when a snapshot is needed most.
It gives up when the WAL has grown by ``MOST_WAL_GROWTH``, since that takes room from the site.

The client waits while modules are imported, so those for rare cases are imported when needed.
"""

import math
import os
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

from backups.processes.started import STARTED
from backups.sqlite.format.wal_index import UnknownIndexError
from backups.sqlite.snapshots.page_reader import ImpossibleError, Pages, RollbackModeError
from backups.sqlite.snapshots.pipe import ANSWER_BYTES, Outlet, ReaderGoneError, ReaderStalledError

if TYPE_CHECKING:
    from backups.sqlite.snapshots.rollback_reader import CopiedPages

IDLE_SECONDS = 0.02  # when we wait longer for the reader, there is time to hash
NICE = 10  # the niceness for hashing the rest, when everything is sent
MOST_WAL_GROWTH = 64 * 1024 * 1024  # 64 MiB


class GivenUpError(Exception):
    """The transaction must end, but there is no room for a spool."""


class Sending:
    """Sends one snapshot."""

    def __init__(
        self,
        pages: "Pages | CopiedPages",
        outlet: Outlet,
        *,
        database: str,
        spool_after: float,
        floor: int = 0,
    ) -> None:
        """Does not begin to send. ``spool_after``: seconds from now; ``floor``: as for ``main``."""
        self._pages, self._outlet, self._floor = pages, outlet, floor
        self._database = database
        self._size = pages.size
        self._spool_at = time.monotonic() + spool_after
        self._piece = pages.piece
        self._is_spooled = pages.is_copied

    def send(self) -> str:
        """
        Send everything, and wait until the reader confirms it. Returns the SHA-256.

        :raises GivenUpError: the WAL would take too much room from the site.
        :raises OSError: a file can't be read.
        :raises ReaderGoneError: the reader has hung up.
        :raises ReaderStalledError: the reader is too slow.
        """
        while self._outlet.sent < self._size and self._outlet.put(self._piece):
            pass
        # The pipe is full: now there is time to import what the first byte does not need.
        from backups.sqlite.snapshots.sent_digest import SentDigest

        self._digest = SentDigest()
        self._send(until=self._spool_at)
        if self._outlet.sent < self._size and not self._is_spooled:
            self._spool()
        self._send()
        self._hash_rest()
        if not self._is_spooled:
            self._release()
        while not self._outlet.is_confirmed:
            self._outlet.wait(1.0, for_room=False)
        return self._digest.hexadecimal

    def _send(self, *, until: float | None = None) -> None:
        """Write everything into the pipe, or as much as fits before the deadline."""
        while self._outlet.sent < self._size and (until is None or time.monotonic() < until):
            if self._outlet.put(self._piece):
                continue
            is_behind = self._digest.hashed < self._outlet.sent
            before = time.monotonic()
            self._outlet.wait(IDLE_SECONDS if is_behind or until else 1.0)
            if is_behind and time.monotonic() - before >= IDLE_SECONDS:
                self._digest.add(self._piece, self._outlet.sent)
            if self._is_spooled or self._pages.wal_growth <= MOST_WAL_GROWTH:
                continue
            if until is None:
                raise GivenUpError("the WAL has grown too long, and the disk has no room")
            if until == math.inf:
                return  # the rest is spooled after all

    def _spool(self) -> None:
        """Copy the rest to a file without a name, and release the pages."""
        from backups.sqlite.snapshots.spool import Spool

        spool = Spool.create(self._database, self._outlet.sent, self._size, self._floor)
        if spool is None:
            return
        while spool.written < self._size:
            if not spool.add(self._pages.piece):
                return
            if self._outlet.sent < self._size:
                self._outlet.put(self._piece)
            self._outlet.wait(0)
        while self._digest.hashed < spool.start:
            self._digest.add(self._piece, spool.start)
        self._piece, self._is_spooled = spool.piece, True
        self._release()

    def _hash_rest(self) -> None:
        from contextlib import suppress

        with suppress(OSError):  # a seccomp filter can forbid it
            os.nice(NICE)
        while self._digest.hashed < self._size:
            self._digest.add(self._piece, self._size)
            self._outlet.wait(0, for_room=False)

    def _release(self) -> None:
        """End the transaction, once nothing in the pipe depends on it."""
        end = time.monotonic() + self._outlet.stall_seconds
        while self._outlet.has_lent:
            if time.monotonic() > end:
                raise ReaderStalledError
            if self._outlet.sent == self._size or not self._outlet.put(self._piece):
                self._outlet.wait(IDLE_SECONDS, for_room=self._outlet.sent < self._size)
        self._pages.close()


def main(
    uri: str,
    database: str,
    spool_after: str,
    stall_seconds: str,
    floor: str = "0",
    counts: str = "",
) -> None:
    """
    Send a snapshot of this database. All numbers are strings, as the arguments of a process are.

    :param uri: of the database, for SQLite.
    :param database: the path of its real file.
    :param floor: how many free bytes of the disk are reserved for the site.
    :param counts: a pipe to write the number of rows of each table to; empty for none.
    """
    os.write(sys.stdout.fileno(), STARTED)
    pages = _open(uri, database, int(floor))
    outlet = Outlet(sys.stdout.fileno(), sys.stdin.fileno(), stall_seconds=float(stall_seconds))
    sending = Sending(
        pages, outlet, database=database, spool_after=float(spool_after), floor=int(floor)
    )
    try:
        if counts:
            pages.count(int(counts))
        sha256 = sending.send()
    except (ReaderGoneError, ReaderStalledError, GivenUpError, OSError) as error:
        pages.stop()
        sys.exit(f"{type(error).__name__}: {error}")  # the reader sees that bytes are missing
    finally:
        pages.close()
    _record(database, sha256, pages.size)


def _open(uri: str, database: str, floor: int) -> "Pages | CopiedPages":
    try:
        pages = _take(uri, database, floor)
    except (ImpossibleError, UnknownIndexError, sqlite3.OperationalError, OSError) as error:
        _answer("impossible", str(error))
        raise SystemExit(1) from error
    except sqlite3.DatabaseError as error:
        _answer("damaged", str(error))
        raise SystemExit(1) from error
    _answer("pages", f"{pages.size} {pages.locked_seconds:.6f}")
    return pages


def _take(uri: str, database: str, floor: int) -> "Pages | CopiedPages":
    try:
        return Pages(uri, database)
    except RollbackModeError:
        from backups.sqlite.snapshots.rollback_reader import CopiedPages

        return CopiedPages(uri, database, floor)


def _answer(verdict: str, text: str) -> None:
    line = f"{verdict} {text}".encode(errors="backslashreplace")[:ANSWER_BYTES].ljust(ANSWER_BYTES)
    os.write(sys.stdout.fileno(), line)  # the pipe is empty and takes it at once


def _record(database: str, sha256: str, size: int) -> None:
    from pathlib import Path

    from backups.sqlite.folder.paths import StorePaths
    from backups.sqlite.records.sent_snapshots import record_sent

    record_sent(StorePaths(Path(database)), sha256=sha256, size=size)
