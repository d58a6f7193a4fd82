"""
A consistent copy of the database while others write, by ``VACUUM INTO``.

The copy is one compact file in rollback-journal mode: no sidecars, no free pages, no remains
of deleted rows. It is written beside the database and read back through its descriptor. Its name
is removed before its first byte is sent, so nothing can be left behind.

If a database is not in WAL mode, writers wait as long as SQLite reads it. So the pages of a large
one are copied first (``rollback_reader.py``), and the copy is compacted.

Login sessions are left out (``leaving_out.py``): if there are any, a first copy is compacted
again without them. If the disk has no room for two copies, they are overwritten in the only one.

It needs the database's own size on the same disk, or twice that for a large database that is not
in WAL mode, or one with login sessions.

Source: https://www.sqlite.org/lang_vacuum.html#vacuuminto
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.disk import files
from backups.exceptions import (
    ChildNotStartedError,
    NotEnoughSpaceError,
    SnapshotFailedError,
    StoreFolderError,
)
from backups.processes.spawn import last_line, run_module
from backups.sqlite.checking.defects import Defects, look_over
from backups.sqlite.disk_space import RESTORES, check_room, leaving, no_room, promised
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.sharing import share_sidecars
from backups.sqlite.folder.temporary import Temporary, temporary_file
from backups.sqlite.format.connection import name_in_sql, uri
from backups.sqlite.format.rows import take_inventory
from backups.sqlite.records.sent_snapshots import record_sent
from backups.sqlite.snapshots.leaving_out import RowsStayError, attached, has_rows, leave_out
from backups.sqlite.snapshots.pages import PagesNotPossibleError, check_possible
from backups.sqlite.snapshots.pinned import Pin, Pinning
from backups.store import Inventory, Snapshot

COPIED_FROM = 64 * 1024**2  # 64 MiB: below that, writers wait for a second at most
LOOK_SECONDS = 0.1  # for defects, or an eighth of the time that the copy took, if that is more

logger = logging.getLogger(__name__)


class CompactSnapshot(Snapshot):
    """A finished snapshot in a file that has no name, or one that its ``pin`` removes."""

    method = "compact"

    def __init__(
        self,
        paths: StorePaths,
        descriptor: int,
        taken_at: datetime,
        defects: Defects | None,
        locked_seconds: float = 0.0,
        pin: Pin | None = None,
        inventory: Inventory | None = None,
    ) -> None:
        """Takes over the descriptor and the pin. Writers had to wait for ``locked_seconds``."""
        self.defects, self.inventory = defects, inventory
        self._pin = pin
        self.id = None if pin is None else pin.id
        self._paths = paths
        self._file = io.FileIO(descriptor)
        self.size = os.fstat(descriptor).st_size
        self.taken_at = taken_at
        self.locked_seconds = locked_seconds

    def __iter__(self) -> Iterator[bytes]:
        sent = hashlib.sha256()
        while chunk := self._file.read(files.CHUNK_BYTES):
            sent.update(chunk)
            yield chunk
        self.sha256 = sent.hexdigest()
        record_sent(self._paths, sha256=self.sha256, size=self.size)

    def close(self) -> None:
        self._file.close()
        if self._pin is not None:
            # Also after the last byte: it may be lost between the server and the client.
            self._pin.release_later()
            self._pin = None

    def abandon(self) -> None:
        self._file.close()
        if self._pin is not None:
            self._pin.abandon()
            self._pin = None


def create_compact_snapshot(
    paths: StorePaths,
    connect: Callable[[], sqlite3.Connection],
    *,
    clear: Collection[str] = (),
    presence: int | None = None,
    pinning: Pinning | None = None,
    floor: int = 0,
    count: bool = False,
) -> CompactSnapshot:
    """
    Copy the database as it is between two commits; in WAL mode writers continue.

    Writes ``<db>.snapshot-<random>`` and perhaps ``<db>.copy-<random>`` (0600), and removes both
    names before it returns; a pinned snapshot has another name then. This process reads the live
    file only through a SQLite connection: closing any other descriptor of it would drop the locks
    of the whole process.

    The parameters are those of ``create_snapshot``, and:

    :param clear: if these rows can't be left out, they stay in the snapshot; the log says why.
    :param pinning: who may continue a broken download, and for how long; None for nobody.
    :param count: whether to count the rows of each table.
    :raises NotEnoughSpaceError: before the copy if that is known, or in the middle of it.
    :raises SnapshotFailedError: SQLite can't read the database.
    :raises StoreFolderError: the folder can't be written.
    """
    try:
        with closing(connect()) as connection:
            check_room(
                paths,
                _needs(paths),
                _used_bytes(connection),
                floor=floor,
                promised=promised(paths, to=(RESTORES,)),
            )
            share_sidecars(str(paths.database))
            taken_at = datetime.now(UTC)
            with temporary_file(paths, "snapshot") as file:
                started = time.monotonic()
                locked = _Compacting(paths, connection, file, presence, floor).run(clear)
                seconds = max(LOOK_SECONDS, (time.monotonic() - started) / 8)
                defects = look_over(connection, file.path, seconds=seconds)
                inventory = _count(connection, file) if count else None
                pin = None
                if pinning is not None:
                    pin = pinning.pin(paths, file.path, file.descriptor, taken_at)
                descriptor = os.dup(file.descriptor)
                return CompactSnapshot(paths, descriptor, taken_at, defects, locked, pin, inventory)
    except sqlite3.Error as error:
        raise _explain(error, paths, floor) from error
    except OSError as error:
        raise StoreFolderError(
            f"No snapshot could be written in {paths.folder}: {files.words(error)}."
        ) from error


def _count(connection: sqlite3.Connection, file: Temporary) -> Inventory:
    with attached(connection, file.path, "counted"):
        return take_inventory(connection, schema="counted")


@dataclass(frozen=True)
class _Compacting:
    """The writing of one compact file."""

    paths: StorePaths
    connection: sqlite3.Connection  # set up like the site's: with the functions a schema may need
    into: Temporary
    presence: int | None
    floor: int

    def run(self, clear: Collection[str]) -> float:
        """Write it, without the rows of these tables. Returns how many seconds writers waited."""
        try:
            locked = self._write(clear)
            if clear:  # some may remain: there was no room for a copy, or somebody just logged in
                with attached(self.connection, self.into.path, "compacted"):
                    leave_out(self.connection, clear, of="compacted", overwrite=True)
            return locked
        except RowsStayError as reason:
            logger.warning("login sessions stay in the snapshot: %s", reason)
            os.ftruncate(self.into.descriptor, 0)  # it may be half changed
            return self._write(())

    def _write(self, clear: Collection[str]) -> float:
        (mode,) = self.connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal" and self.paths.database.stat().st_size >= COPIED_FROM:
            try:
                return self._write_from_copy(clear)
            except PagesNotPossibleError as reason:
                logger.info("writers have to wait while SQLite copies the database: %s", reason)
        with contextlib.ExitStack() as stack:
            first = self.into
            needs_two = clear and has_rows(self.connection, clear)
            if needs_two and self._has_room(2 * _used_bytes(self.connection)):
                first = stack.enter_context(temporary_file(self.paths, "copy"))
            began = time.monotonic()
            self._vacuum("main", first)
            locked = 0.0 if mode == "wal" else time.monotonic() - began
            if first is not self.into:
                self._compact(first, clear)
        return locked

    def _write_from_copy(self, clear: Collection[str]) -> float:
        check_possible(self.paths)
        if not self._has_room(self.paths.database.stat().st_size + _used_bytes(self.connection)):
            raise PagesNotPossibleError("the disk has no room for a copy and for the snapshot")
        with temporary_file(self.paths, "copy") as copy:
            seconds = _copy_pages(self.paths, copy.descriptor, self.presence)
            self._compact(copy, clear)
        return seconds

    def _compact(self, copy: Temporary, clear: Collection[str]) -> None:
        with attached(self.connection, copy.path, "copied"):
            leave_out(self.connection, clear, of="copied", overwrite=False)
            self._vacuum("copied", self.into)

    def _vacuum(self, database: str, into: Temporary) -> None:
        with leaving(self.paths.folder, self.connection, floor=self.floor):
            self.connection.execute(f"VACUUM {database} INTO ?", (name_in_sql(into.path),))

    def _has_room(self, needed: int) -> bool:
        return files.has_room(self.paths.folder, needed + self.floor)


def _copy_pages(paths: StorePaths, descriptor: int, presence: int | None) -> float:
    """Let a separate process copy them: it may open the live file."""
    try:
        child = run_module(
            "backups.sqlite.snapshots.rollback_child",
            uri(paths.database),
            str(paths.database),
            str(descriptor),
            inherit=(descriptor,) if presence is None else (descriptor, presence),
        )
    except ChildNotStartedError as error:
        raise PagesNotPossibleError(str(error)) from error
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        raise PagesNotPossibleError(f"its process failed: {last_line(child.stderr)}") from None
    if "impossible" in answer:
        raise PagesNotPossibleError(answer["impossible"])
    return float(answer["seconds"])


def _used_bytes(connection: sqlite3.Connection) -> int:
    """The largest size that the copy can have: all pages except the free ones."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free_pages) * page_size)


def _needs(paths: StorePaths) -> str:
    return f"A snapshot of {paths.database.name} needs"


def _explain(
    error: sqlite3.Error, paths: StorePaths, floor: int
) -> NotEnoughSpaceError | SnapshotFailedError:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT):
        size = paths.database.stat().st_size
        return no_room(paths, _needs(paths), size, floor=floor)
    return SnapshotFailedError(f"SQLite could not take a snapshot of {paths.database}: {error}.")
