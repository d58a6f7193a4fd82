"""A prepared restore whose staging is logged and announced."""

import logging
from dataclasses import replace

from backups.site import outcomes
from backups.store import BackupStore, PendingRestore, Prepared

logger = logging.getLogger("backups.services")


def announced(prepared: Prepared, store: BackupStore, *warnings: str) -> Prepared:
    """The same, with more warnings, and announced once it is staged."""

    def warned(pending: PendingRestore) -> PendingRestore:
        return replace(pending, warnings=(*pending.warnings, *warnings))

    def make_pending(staged_by: str | None) -> PendingRestore:
        pending = prepared.stage(staged_by=staged_by)
        _log(pending)
        outcomes.announce(store)
        return warned(pending)

    return replace(prepared, pending=warned(prepared.pending), make_pending=make_pending)


def _log(pending: PendingRestore) -> None:
    by = pending.staged_by
    if pending.undoes is not None:
        logger.info("undo staged by %s: %s", by, pending.undoes)
    else:
        logger.info("restore staged by %s: %d bytes, SHA-256 %s", by, pending.size, pending.sha256)
