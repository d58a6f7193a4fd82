"""A snapshot in a database of its own: it waits until somebody stages it, or it was a trial."""

from contextlib import suppress
from dataclasses import replace

from backups.exceptions import BackupError
from backups.postgres import contents, pending
from backups.postgres.control import Control
from backups.postgres.manifest import Manifest
from backups.postgres.site import Site
from backups.postgres.staging import Incoming
from backups.store import Inventory, PendingRestore, Prepared, Proof


def prepared(incoming: Incoming, control: Control, site: Site, *, seconds: float) -> Prepared:
    """
    What the caller of a staging can look at, and stage.

    :param seconds: how long a count of the rows may take.
    """
    manifest, emptied = incoming.manifest, site.session_tables()

    def stage(staged_by: str | None) -> PendingRestore:
        chosen = replace(manifest, staged_by=staged_by or manifest.staged_by)
        staged = pending.make_pending(control, incoming.database, chosen, incoming.seconds)
        return describe(staged, site)

    return Prepared(
        pending=describe(manifest, site),
        taken_at=manifest.taken_at,
        is_emptied=lambda table: table in emptied,
        count_rows=lambda: _inventory(incoming, control, seconds).rows,
        make_pending=stage,
    )


def proof(incoming: Incoming, control: Control, site: Site, *, seconds: float) -> Proof:
    """What a trial has shown. ``seconds`` is the limit on the count of the rows."""
    return Proof(
        came=incoming.came or Inventory((), {}),
        restored=_inventory(incoming, control, seconds),
        migrations=incoming.manifest.migrated,
        emptied=site.session_tables(),
        warnings=incoming.manifest.warnings,
    )


def describe(manifest: Manifest, site: Site) -> PendingRestore:
    """For those who ask. The status must not fail because the restore will be refused."""
    missing: tuple[str, ...] = ()
    with suppress(BackupError):
        if manifest.id and manifest.fails is None:
            missing = site.plan(manifest.migrations)
    return manifest.describe(missing)


def _inventory(incoming: Incoming, control: Control, seconds: float) -> Inventory:
    with control.server.session(incoming.database, seconds=seconds) as connection:
        return contents.take_inventory(connection)
