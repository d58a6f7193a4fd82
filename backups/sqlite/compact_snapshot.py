"""
A consistent copy of the database while others write, by ``VACUUM INTO``.

The copy is one compact file in rollback-journal mode: no sidecars, no free pages, no remains
of deleted rows. It is written beside the database, read back through its descriptor, and has
no name any more by the time its first byte is handed out, so nothing can be left behind.

Not promised: that it takes no space. It needs the database's own size on the same disk.

Source: https://www.sqlite.org/lang_vacuum.html#vacuuminto
"""

import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

from backups import files
from backups.exceptions import NotEnoughSpaceError, SnapshotFailedError, StoreFolderError
from backups.sqlite.connection import name_in_sql
from backups.sqlite.digest import Digest
from backups.sqlite.paths import StorePaths
from backups.sqlite.sent import record_sent
from backups.sqlite.temporary import temporary_file
from backups.store import Snapshot


class CompactSnapshot(Snapshot):
    """A finished snapshot in a file without a name."""

    method = "compact"

    def __init__(self, paths: StorePaths, descriptor: int, taken_at: datetime) -> None:
        """Takes over the descriptor."""
        self._paths = paths
        self._file = io.FileIO(descriptor)
        self.size = os.fstat(descriptor).st_size
        self.taken_at = taken_at

    def __iter__(self) -> Iterator[bytes]:
        with Digest() as sent:
            while chunk := self._file.read(files.CHUNK_BYTES):
                sent.update(chunk)
                yield chunk
            record_sent(self._paths, sha256=sent.hexdigest(), size=self.size)

    def close(self) -> None:
        self._file.close()


def create_compact_snapshot(
    paths: StorePaths, connect: Callable[[], sqlite3.Connection]
) -> CompactSnapshot:
    """
    Copy the database as it is between two commits; writers go on meanwhile.

    Touches one file, ``<db>.snapshot-<random>`` (0600), which has lost its name again when
    this returns. The live file is read through a SQLite connection only: closing any other
    descriptor of it would drop the locks of this whole process.

    :param connect: opens a connection of its own to the live database.
    :raises NotEnoughSpaceError: before the copy if that can be told, or in the middle of it.
    :raises SnapshotFailedError: SQLite can't read the database.
    :raises StoreFolderError: the folder can't be written.
    """
    try:
        with closing(connect()) as connection:
            _check_space(paths, connection)
            taken_at = datetime.now(UTC)
            with temporary_file(paths, "snapshot") as file:
                connection.execute("VACUUM INTO ?", (name_in_sql(file.path),))
                return CompactSnapshot(paths, os.dup(file.descriptor), taken_at)
    except sqlite3.Error as error:
        raise _explain(error, paths) from error
    except OSError as error:
        raise StoreFolderError(
            f"No snapshot could be written in {paths.folder}: {error.strerror}."
        ) from error


def _check_space(paths: StorePaths, connection: sqlite3.Connection) -> None:
    needed = _used_bytes(connection)
    if not files.has_room(paths.folder, needed):
        raise _no_space(paths, needed, files.free_bytes(paths.folder))


def _used_bytes(connection: sqlite3.Connection) -> int:
    """What the copy will take at most: every page but the free ones."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free_pages) * page_size)


def _no_space(paths: StorePaths, needed: int, free: int) -> NotEnoughSpaceError:
    return NotEnoughSpaceError(
        f"A snapshot of {paths.database.name} needs {needed:,} bytes in {paths.folder},"
        f" and {free:,} are free.",
        needed_bytes=needed,
        free_bytes=free,
    )


def _explain(error: sqlite3.Error, paths: StorePaths) -> NotEnoughSpaceError | SnapshotFailedError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        size = paths.database.stat().st_size
        return _no_space(paths, size, files.free_bytes(paths.folder))
    return SnapshotFailedError(f"SQLite could not take a snapshot of {paths.database}: {error}.")
