"""
Try a snapshot as a restore would take it, on a scratch copy that is removed afterwards.

    chunks ─▶ <db>.scratch-<random> ─▶ checked ─▶ migrated, checked ─▶ counted ─▶ removed

Nothing gets another name, so nothing is staged. As in stage.py, only the site's own connections
read the live database.
"""

import sqlite3
from collections.abc import Iterable

from backups.exceptions import StoreFolderError
from backups.sqlite import disk_space
from backups.sqlite.folder.temporary import Temporary
from backups.sqlite.format.rows import inventory_of
from backups.sqlite.format.schema import fold
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores.migration import migrate_private
from backups.sqlite.restores.pending import missing_migrations
from backups.sqlite.restores.receive import explain
from backups.sqlite.restores.stage import Staging
from backups.store import Proof


def prove(staging: Staging, chunks: Iterable[bytes]) -> Proof:
    """Errors are those of ``BackupStore.prove``."""
    paths, site = staging.paths, staging.site
    try:
        with staging.checked(chunks, disk_space.SCRATCH) as (scratch, manifest):
            came = restored = inventory_of(scratch.path)
            missing = missing_migrations(manifest, site)
            if missing:
                _check_room(staging, scratch, manifest)
                migrate_private(scratch, manifest, missing, site, staging.check_seconds)
                restored = inventory_of(scratch.path)
    except sqlite3.Error as error:
        raise StoreFolderError(f"SQLite failed in {paths.folder}: {error}.") from error
    except OSError as error:
        raise explain(error, paths, staging.at_least, staging.floor, what="tried") from error
    emptied = set(map(fold, site.session_tables()))
    return Proof(
        came=came,
        restored=restored,
        migrations=missing,
        emptied=tuple(table for table in came.rows if fold(table) in emptied),
        warnings=manifest.warnings,
    )


def _check_room(staging: Staging, scratch: Temporary, manifest: Manifest) -> None:
    """A migration may write all of it once more: to its journal, or as another table."""
    disk_space.check_room(
        staging.paths,
        "To run migrations on a copy of the snapshot takes",
        manifest.size,
        floor=staging.floor,
        promised=disk_space.promised(staging.paths, but=scratch.descriptor),
    )
