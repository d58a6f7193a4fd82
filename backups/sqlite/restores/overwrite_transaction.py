"""
The one transaction that overwrites the live database: locked, kept, marked, written, committed.

The invariants that are cited here stand in overwrite.py.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from backups.disk import files
from backups.exceptions import NeedsRestartError, RestoreBlockedError
from backups.sqlite.disk_space import no_room
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format import header
from backups.sqlite.format.connection import connect
from backups.sqlite.format.sqlite_errors import who_uses
from backups.sqlite.kept.keep import keep_copy
from backups.sqlite.kept.settle import leave_wal_mode
from backups.sqlite.records.manifest import Manifest

RETRY_SECONDS = 0.05  # between two tries for the write lock
PAGES = 1000  # kept between two looks at the clock; copied between two looks at the disk
PAGE_BYTES = 4096  # as most databases have
FORMAT = ("page_size", "encoding", "auto_vacuum")  # open connections remember these


class Overwriting:
    """The two connections, the descriptor and the clock of one transaction."""

    def __init__(
        self, paths: StorePaths, manifest: Manifest, kept: Path, seconds: float, floor: int = 0
    ) -> None:
        """``kept``: a free name for the old content; ``floor``: bytes to leave free on the disk."""
        self._floor, self._looks = floor, 0
        self._paths, self._manifest, self._kept = paths, manifest, kept
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._stack = ExitStack()
        self._is_kept = False
        self._marked: int | None = None  # the schema_version that will show the commit

    def __enter__(self) -> "Overwriting":
        # Opened before SQLite opens the file, closed after it: its close drops SQLite's locks.
        self._descriptor = os.open(self._paths.database, os.O_RDONLY | os.O_CLOEXEC)
        self._stack.callback(os.close, self._descriptor)
        self._snapshot = connect(self._paths.pending, mode="immutable")
        self._stack.callback(self._snapshot.close)
        self._live = connect(self._paths.database, timeout=RETRY_SECONDS)
        self._stack.callback(self._live.close)
        self._live.execute("PRAGMA synchronous=FULL")  # invariant 1
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check_same_format(self) -> None:
        """Raise NeedsRestartError for a difference that open connections would not notice."""
        for name in FORMAT:
            (now,) = self._live.execute(f"PRAGMA {name}").fetchone()
            (then,) = self._snapshot.execute(f"PRAGMA {name}").fetchone()
            if now != then:
                raise NeedsRestartError(
                    f"The live database has the {name} {now} and the snapshot {then}: that can't"
                    " change while the site runs."
                )
        with open(self._paths.pending, "rb") as pending:
            heads = header.read(self._descriptor), header.read(pending.fileno())
        if heads[0][header.RESERVED] != heads[1][header.RESERVED]:
            raise NeedsRestartError("The snapshot reserves another number of bytes in its pages.")

    def leave_wal_mode(self) -> None:
        """Fold everything into the main file; then also the page size may change."""
        leave_wal_mode(self._live, self._paths.database)

    def run(self) -> None:
        """Keep the old content, then overwrite it; remove the kept copy if that surely failed."""
        try:
            self.write_pages(self._keep)
        except BaseException:
            if self._is_kept and self._came_through() is False:
                files.unlink(self._kept)
            raise
        self._empty_wal()

    def write_pages(self, keep: Callable[[], None]) -> None:
        """
        Write all pages in one transaction. An error that SQLite reports after its commit, e.g.
        while it releases its lock, is not a failure.

        :param keep: called once the transaction holds the write lock, before any write.
        """
        is_locked = False

        def after_each_page(status: int, _remaining: int, _total: int) -> None:
            nonlocal is_locked
            self._check_time(status)
            if status == sqlite3.SQLITE_OK and not is_locked:
                is_locked = True
                self._check_is_live()
                keep()  # invariant 2: under the lock
                self._mark()  # invariant 3: before the commit

        try:
            self._snapshot.backup(  # invariant 1
                self._live, pages=1, progress=after_each_page, sleep=RETRY_SECONDS
            )
        except sqlite3.Error:
            if self._came_through() is not True:
                raise
        # SQLite does not sync the unlink of its journal. If the journal came back after a power
        # cut, it would undo this, and the pending file may be gone by then.
        try:
            files.sync_folder(self._paths.folder)
        except OSError as error:
            raise RestoreBlockedError(
                f"The restore is in place, but {self._paths.folder} could not be synced:"
                f" {error.strerror}. The next start makes sure of it."
            ) from error

    def _came_through(self) -> bool | None:
        """Whether the transaction was committed; None if that is not known now."""
        if self._marked is None:
            return False
        try:
            self._live.close()  # it may hold on to a transaction that failed
            with closing(connect(self._paths.database)) as reader:
                (version,) = reader.execute("PRAGMA schema_version").fetchone()
        except sqlite3.Error:
            return None
        return bool(version == self._marked)

    def _check_is_live(self) -> None:
        """If the open file has been renamed, this would write into a kept copy."""
        if not files.is_named(self._paths.database, self._descriptor):
            raise NeedsRestartError(f"{self._paths.database} has just been replaced.")

    def _keep(self) -> None:
        """Make a durable copy of the live database. Nobody can change it now."""
        if self._is_wal():
            keep_copy(self._paths, self._kept, self._copy_pages)
        else:
            _, shm, _ = self._paths.sidecars
            files.unlink(shm)  # SQLite does not report if it could not; it is useless here
            # Readers are locked out too, but nothing is written to the file before the commit.
            keep_copy(self._paths, self._kept, lambda copy, _: files.copy(self._descriptor, copy))
        self._is_kept = True

    def _copy_pages(self, descriptor: int, path: Path) -> None:
        """Copy through a separate reader, which sees the last commit, into one file."""
        with (
            closing(connect(self._paths.database, mode="ro")) as source,
            closing(connect(path)) as copy,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # begins to read
            source.backup(copy, pages=PAGES, progress=lambda status, *_: self._check_time(status))
            copy.execute("PRAGMA journal_mode=DELETE").fetchone()
        files.sync(descriptor)

    def _mark(self) -> None:
        marked = self._schema_version() + 1
        replace(self._manifest, overwrites=marked).write(self._paths)
        self._marked = marked

    def _schema_version(self) -> int:
        """The one before the commit; SQLite adds one when a backup overwrites a database."""
        if not self._is_wal():
            return int.from_bytes(header.read(self._descriptor)[header.SCHEMA_VERSION], "big")
        with closing(connect(self._paths.database, mode="ro")) as reader:
            (version,) = reader.execute("PRAGMA schema_version").fetchone()
        return int(version)

    def _is_wal(self) -> bool:
        return header.has_wal_mark(header.read(self._descriptor))

    def _check_time(self, status: int) -> None:
        self._check_room()
        if time.monotonic() < self._deadline:
            return
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            what = f"{who_uses(self._paths.database)} did not release its lock"
        else:
            what = "it did not finish"
        raise NeedsRestartError(
            f"The content of {self._paths.database} could not be replaced: {what} within"
            f" {self._seconds:g} seconds."
        )

    def _check_room(self) -> None:
        """Give up while the site still has room on the disk."""
        self._looks += 1
        if self._looks % PAGES == 0 and not files.has_room(self._paths.folder, self._floor):
            what = f"To go on replacing the content of {self._paths.database} needs"
            raise no_room(self._paths, what, PAGES * PAGE_BYTES, floor=self._floor)

    def _empty_wal(self) -> None:
        """Cut the WAL, which has grown by a whole database. It stays if others still read it."""
        with suppress(sqlite3.Error, OSError):  # it is committed: no error matters any more
            if self._is_wal():
                self._live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
