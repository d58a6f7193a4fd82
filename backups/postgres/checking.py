"""Check a snapshot's file on this machine, without a database."""

import os
from pathlib import Path

from backups.disk import files
from backups.exceptions import NotADatabaseError, StoreFolderError
from backups.postgres.dumps import dump
from backups.postgres.programs import Programs
from backups.postgres.site import Site
from backups.sqlite.checking.check import check_file as check_sqlite
from backups.sqlite.format.header import MAGIC
from backups.sqlite.site import Live


def check_file(
    path: Path, *, programs: Programs, seconds: float, site: Site, is_own: bool
) -> tuple[str, ...]:
    """
    Read all of it, and judge what it would run.

    :param is_own: whether it comes from this site.
    :returns: a sentence for each problem that would not prevent a restore.
    :raises InvalidSnapshotError: a restore would refuse it.
    :raises StoreFolderError: it can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise StoreFolderError(f"{path} can't be checked: {files.words(error)}.") from error
    try:
        head = os.pread(descriptor, len(MAGIC), 0)
        if dump.is_dump(head):
            found = dump.read_dump(path, pg_restore=programs.pg_restore, seconds=seconds)
            return tuple(site.check_dump(found, site.read_live())) if is_own else ()
        if head == MAGIC:
            live = Live(site.read_live().migrations) if is_own else None
            return check_sqlite(descriptor, path, seconds=seconds, site=site, live=live)
        raise NotADatabaseError(f"{path} is neither a dump of PostgreSQL nor a SQLite database.")
    finally:
        os.close(descriptor)
