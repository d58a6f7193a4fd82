"""
Put a snapshot's content into the live database file itself, by SQLite's backup API.

    locked ─▶ old content kept ─▶ marked in the manifest ─▶ pages written ─▶ committed

For two cases in which no rename will do: the site goes on running (apply_now.py), or the
file can't be renamed over, since it is a mount point (apply_at_start.py). Invariants:

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
from backups.sqlite.format.connection import connect, has_content
from backups.sqlite.format.header import is_wal
from backups.sqlite.format.readable import is_readable
from backups.sqlite.kept.raw_copies import keep_raw
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores.overwrite_transaction import Overwriting

WAL_HEADERS = 20  # of a WAL, at most: 24 bytes for each page of 512
ALONE_SECONDS = 3600.0  # nobody waits for a start that is alone, but it must not hang for ever


def overwrite_shared(
    paths: StorePaths, manifest: Manifest, kept: Path, *, seconds: float, floor: int = 0
) -> None:
    """
    Overwrite the live database while other processes use it.

    To be called in a process that has no other connection to it.

    :param kept: what its old content is kept as, announced in the manifest.
    :param seconds: how long writers may be kept waiting, and the write lock be waited for.
    :param floor: how many bytes of the disk are left to the site.
    :raises NeedsRestartError: it can't be done; the live database is unchanged.
    :raises NotEnoughSpaceError: the disk is too full; the live database is unchanged.
    """
    if not has_content(paths.database) or not is_readable(paths.database):
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
    In WAL mode for the kept copy, for the pages in the WAL, with a header for each, and for what
    the checkpoint adds to the file. Else for the old pages in a journal, and the longer of the two.
    """
    old, new = paths.database.stat().st_size, paths.pending.stat().st_size
    if is_wal(paths.database):
        return old + new + new // WAL_HEADERS + max(new - old, 0)
    return old + max(old, new)


def overwrite_alone(paths: StorePaths, manifest: Manifest, name: Path) -> Path | None:
    """
    Overwrite a live database that nobody else has open. Returns the kept copy, if any.

    :param name: what its old content is kept as, announced in the manifest.
    :raises RestoreBlockedError: it can't be done. A readable live database is as it was; one that
        SQLite can't read is in the kept copy.
    :raises OSError: as above.
    """
    if not has_content(paths.database) or not is_readable(paths.database):
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
        _give_back(paths, journal_mode)
        raise


def _journal_mode(paths: StorePaths) -> str:
    with closing(connect(paths.database)) as connection:
        (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(journal_mode)


def _give_back(paths: StorePaths, journal_mode: str) -> None:
    """Put the database into the journal mode that it had, if the system lets us."""
    with suppress(sqlite3.Error), closing(connect(paths.database)) as connection:
        if journal_mode == "wal":
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
