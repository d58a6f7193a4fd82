"""Stored snapshots as a listing has them, without a database in them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backups.archive import names
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.manifest import Hold, Manifest, Verification

PREFIX = "site-backup-"
CONTENT = b"a stored snapshot"
HELD = Hold(datetime(2026, 1, 1, tzinfo=UTC), "alice", "for the audit")


def entry(snapshot_id: str, **changes: Any) -> StoredSnapshot:
    """One that is whole, of that id; ``changes`` are of its manifest."""
    name = names.make_name(PREFIX, snapshot_id, ".db", is_encrypted=False)
    manifest = Manifest(
        name=name,
        size=len(CONTENT),
        sha256="",
        database_size=1,
        database_sha256="",
        taken_at=names.time_of(snapshot_id),
        seconds=0.1,
        method="pages",
        by="alice",
        schedule=None,
        label=None,
        site="site",
        release="",
        software={},
        migrations=(),
        rows={},
    )
    return StoredSnapshot(snapshot_id, name, len(CONTENT), replace(manifest, **changes))


def found(outcome: str) -> Verification:
    """The result of a drill."""
    return Verification(datetime(2026, 1, 1, tzinfo=UTC), outcome, "", 1.0)


def put(catalog: Catalog, snapshot_id: str, **changes: Any) -> StoredSnapshot:
    """Store one, as a backup of that time has left it."""
    name = names.make_name(catalog.prefix, snapshot_id, ".db", is_encrypted=False)
    stored = entry(snapshot_id, name=name, **changes)
    assert stored.manifest is not None
    catalog.files.create(name, [CONTENT])
    catalog.write(stored.manifest)
    return replace(stored, name=name)
