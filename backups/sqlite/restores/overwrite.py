"""
Put a snapshot's content into the live database file itself, by SQLite's backup API.

    locked ─▶ old content kept ─▶ marked in the manifest ─▶ pages written ─▶ committed

For two cases in which a rename does not work: the site goes on running (apply_now.py), or the live
file can't be renamed over because it is a mount point (apply_at_start.py). Invariants:

1. It is one transaction: killed at any moment, SQLite's journal makes it the old or the new.
2. The write lock is held from before the kept copy is taken to the commit, so no commit of
   another process falls between the two.
3. The pending file stays until after the commit. Its manifest says which schema_version the
   live database has once it was committed, so that the next start can tell (repair.py).

Sources: https://www.sqlite.org/backup.html, https://www.sqlite.org/c3ref/backup_finish.html
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from backups.disk import files
from backups.exceptions import NeedsRestartError
from backups.sqlite.disk_space import reserved
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import connect
from backups.sqlite.format.header import is_wal
from backups.sqlite.format.readable import has_database
from backups.sqlite.kept.raw_copies import keep_raw
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores.overwrite_transaction import Overwriting

WAL_HEADERS = 20  # of a WAL, at most: 24 bytes for each page of 512
ALONE_SECONDS = 3600.0  # no writer waits for a start that is alone, but it must not hang for ever


def overwrite_shared(
    paths: StorePaths, manifest: Manifest, kept: Path, *, seconds: float, floor: int = 0
) -> None:
    """
    Overwrite the live database while other processes use it. The calling process must have no
    other connection to it.

    :param kept: the name for its old content, announced in the manifest.
    :param seconds: how long writers may have to wait, and how long to wait for the write lock.
    :param floor: how many bytes of the disk stay free for the site.
    :raises NeedsRestartError: it can't be done; the live database is unchanged.
    :raises NotEnoughSpaceError: the disk is too full; the live database is unchanged.
    """
    if not has_database(paths.database):
        raise NeedsRestartError(f"{paths.database} can't be read: only a restart can replace it.")
    needed = _needed_bytes(paths)
    what = f"To replace the content of {paths.database} while it is in use needs"
    with (
        reserved(paths, what, needed, floor=floor),
        Overwriting(paths, manifest, kept, seconds, floor) as overwriting,
    ):
        overwriting.check_same_format()
        overwriting.run()


def _needed_bytes(paths: StorePaths) -> int:
    """
    In WAL mode: the kept copy, the pages in the WAL with their headers, and what the checkpoint
    adds to the file. Else: the old pages in a journal, and the larger of the two databases.
    """
    old, new = paths.database.stat().st_size, paths.pending.stat().st_size
    if is_wal(paths.database):
        return old + new + new // WAL_HEADERS + max(new - old, 0)
    return old + max(old, new)


def overwrite_alone(paths: StorePaths, manifest: Manifest, name: Path) -> Path | None:
    """
    Overwrite a live database that nobody else has open. Returns the kept copy, if any.

    :param name: the name for its old content, announced in the manifest.
    :raises RestoreBlockedError, OSError: it can't be done. A readable live database is as it was;
        one that SQLite can't read is in the kept copy.
    """
    if not has_database(paths.database):
        kept = keep_raw(paths, name)  # nobody else has it open, so invariant 2 holds
        files.truncate(paths.database)  # else SQLite would refuse to write into it
        with Overwriting(paths, manifest, name, ALONE_SECONDS) as overwriting:
            overwriting.write_pages(lambda: None)
        return kept
    journal_mode = _journal_mode(paths)
    try:
        with Overwriting(paths, manifest, name, ALONE_SECONDS) as overwriting:
            overwriting.leave_wal_mode()
            overwriting.run()
        return name
    except BaseException:
        if journal_mode == "wal":
            with suppress(sqlite3.Error), closing(connect(paths.database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
        raise


def _journal_mode(paths: StorePaths) -> str:
    with closing(connect(paths.database)) as connection:
        (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(journal_mode)
