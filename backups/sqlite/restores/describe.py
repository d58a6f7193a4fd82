"""What is pending, for those who ask. Reads only."""

import os
from datetime import UTC, datetime

from backups.disk import files
from backups.exceptions import BackupError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.manifest import Manifest, find_manifest
from backups.sqlite.restores.pending import missing_migrations
from backups.sqlite.site import Site
from backups.store import PendingRestore

TRIES = 10  # looks at what is pending; another is needed if another file was just staged


def describe_pending(paths: StorePaths, site: Site) -> PendingRestore | None:
    """The file and its manifest, of one moment, found without waiting for anybody's lock."""
    try:
        for _ in range(TRIES):
            before = os.stat(paths.pending)
            manifest = find_manifest(paths)
            if os.path.samestat(before, os.stat(paths.pending)):
                break
        return describe(manifest, site) if manifest else _describe_unknown(paths)
    except FileNotFoundError:
        return None


def describe(manifest: Manifest, site: Site) -> PendingRestore:
    """With the migrations that the code which runs now would run on it."""
    return PendingRestore(
        size=manifest.snapshot_size,
        sha256=manifest.snapshot_sha256,
        staged_at=manifest.staged_at,
        staged_by=manifest.staged_by,
        migrations=_plan_or_nothing(manifest, site),
        warnings=manifest.warnings,
        undoes=manifest.undoes,
    )


def _plan_or_nothing(manifest: Manifest, site: Site) -> tuple[str, ...]:
    """The status must not fail because the restore will be refused."""
    try:
        return missing_migrations(manifest, site)
    except BackupError:
        return ()


def _describe_unknown(paths: StorePaths) -> PendingRestore:
    """A file that was not staged: somebody copied it there. A start will refuse it."""
    stat = paths.pending.stat()
    return PendingRestore(
        size=stat.st_size,
        sha256=files.sha256(paths.pending),
        staged_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        staged_by="unknown",
        migrations=(),
    )
