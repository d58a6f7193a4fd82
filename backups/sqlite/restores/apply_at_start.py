"""
The second half of a restore: put the pending snapshot in the live database's place.

    pending ─▶ verified ─▶ migrated ─▶ live database settled ─▶ old database kept ─▶ renamed

Only a process that is alone and has no connection open calls this. Invariants, which hold
between any two steps, power cuts included:

1. The live name is never missing, and is the whole old database or the whole new one.
2. Every committed row of the old database is in it, or in the kept copy.
3. The rename is the commit: before it the pending file exists and the next start does it all
   again; after it the pending file is gone.
4. What is renamed was synced before, file and folder; the rename is synced before anybody writes
   to the new database.

The first two are kept by kept/settle.py and kept/keep.py, which cite them. What can fail because
of the snapshot itself fails before the live database is touched. The long form, with the table of
crashes: docs/how-restore-works.md.
"""

import errno
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from backups.disk import files
from backups.exceptions import (
    BackupError,
    InvalidSnapshotError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import has_content
from backups.sqlite.format.header import is_wal
from backups.sqlite.format.sqlite_errors import describe_error
from backups.sqlite.kept.keep import free_name, retired
from backups.sqlite.kept.kept_copies import kept_by
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.receipts import make_receipt
from backups.sqlite.restores.conclude import conclude
from backups.sqlite.restores.migration import bring_to_this_release
from backups.sqlite.restores.overwrite import overwrite_alone
from backups.sqlite.restores.pending import announce, set_aside, verify_pending
from backups.sqlite.site import Site
from backups.store import Receipt

NO_RENAME = (errno.EBUSY, errno.EXDEV)  # the live name is itself a mount point


def apply_pending(
    paths: StorePaths,
    *,
    site: Site,
    check_seconds: float,
    keeping: Keeping,
    migrate_tries: int,
) -> Receipt:
    """
    Apply the pending restore, set it aside, or leave it for the next start. Errors of the restore
    are not raised: the receipt reports them.

    1. Verify the file against its manifest.
    2. Bring a copy of it to this release, if it is older, and make that the pending file.
    3. Close the connections of the site's code. Note in the manifest the live database's journal
       mode and the name that it will be kept under. Settle it, and keep it under that name.
    4. Rename the pending file to the live name, and sync the folder. Where the live name can't
       be renamed over, write the pages into it instead (overwrite.py).
    5. Write the receipt, return to WAL mode if the old database was in it, and remove what
       belonged to the pending file, and the oldest kept copies.

    :returns: the receipt: applied, refused (set aside), or blocked (still pending).
    """
    started, moment = time.monotonic(), datetime.now(UTC)
    manifest, kept, outcome, reason = None, None, "applied", ""
    try:
        manifest = verify_pending(paths)
        manifest, doubt = bring_to_this_release(paths, manifest, site, check_seconds, migrate_tries)
        site.disconnect()  # from here on no connection of this process has the old file
        name = free_name(paths, moment)
        manifest = announce(paths, manifest, name, is_wal=_is_in_wal_mode(paths))
        kept, reason = _put_in_place(paths, manifest, name)
        reason = " ".join(filter(None, (doubt, reason)))
    except (RestoreRefusedError, InvalidSnapshotError) as error:
        outcome, reason = "refused", str(error)
        kept = set_aside(paths, moment)
    except (BackupError, OSError, sqlite3.Error) as error:
        outcome, reason = "blocked", _explain(error, paths)
    receipt = make_receipt(moment, outcome, reason, manifest, kept, time.monotonic() - started)
    was_wal = manifest is not None and manifest.was_wal
    return conclude(paths, receipt, keeping=keeping, was_wal=was_wal)


def _is_in_wal_mode(paths: StorePaths) -> bool:
    """A WAL shows it too, if the database itself is lost or unreadable."""
    return is_wal(paths.database) or has_content(paths.sidecars[0])


def _put_in_place(paths: StorePaths, manifest: Manifest, name: Path) -> tuple[Path | None, str]:
    """Returns the kept copy, and what failed although the restore is in place."""
    earlier = kept_by(paths, manifest)  # of an interrupted try, if this one has nothing to keep
    try:
        kept = _replace_live(paths, name)
    except OSError as error:
        if error.errno not in NO_RENAME:
            raise
        return overwrite_alone(paths, manifest, name) or earlier, ""
    return kept or earlier, _sync_rename(paths)


def _replace_live(paths: StorePaths, name: Path) -> Path | None:
    if files.exists(paths.database):
        _copy_attributes(paths)
    files.sync_file(paths.pending)  # invariant 4
    with retired(paths, name) as kept:  # invariant 2
        files.replace(paths.pending, paths.database)  # invariants 1 and 3: the commit
    return kept


def _sync_rename(paths: StorePaths) -> str:
    """Returns what is wrong, if anything: after the commit there is no way back."""
    try:
        files.sync_folder(paths.folder)  # invariant 4
    except OSError as error:
        return f"The restore is in place, but {paths.folder} could not be synced: {error.strerror}."
    return ""


def _copy_attributes(paths: StorePaths) -> None:
    try:
        files.copy_attributes(paths.database, paths.pending)
    except PermissionError as error:
        raise RestoreBlockedError(
            f"{paths.pending} can't be given the owner and the mode of {paths.database}, and"
            f" without them its users might be unable to open it: {error.strerror}."
            " The owner of the database, or root, can apply it."
        ) from error


def _explain(error: Exception, paths: StorePaths) -> str:
    """What happened to which file; names the folder if SQLite does not say which file it was."""
    if isinstance(error, OSError):
        return files.explain(error, paths.folder)
    if isinstance(error, sqlite3.Error):
        return f"SQLite failed in {paths.folder}: {describe_error(error, paths.database)}."
    return str(error).rstrip(".") + "."
