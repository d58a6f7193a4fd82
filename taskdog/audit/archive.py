"""
What happens to stored snapshots, in the audit log.

These are receivers of the signals of ``backups``. Nothing here may make a backup fail: errors are
only logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backups import services
from taskdog.audit.models import AuditLog
from taskdog.audit.restores import RESOURCE, impatient, or_a_warning

if TYPE_CHECKING:  # at run time this import would slow each start of the site
    from backups.archive.services import StoredSnapshot, Verification


def record_stored(*, stored: StoredSnapshot, database: str | None = None, **_: object) -> None:
    """Add a row about a snapshot that is whole in the storage."""
    manifest = stored.manifest
    known: dict[str, Any] = {"size": stored.size, "database": database}
    by = None if manifest is None else manifest.by
    if manifest is not None:
        known |= {"database_size": manifest.database_size, "sha256": manifest.sha256}
        known |= {"schedule": manifest.schedule, "label": manifest.label}
    _record("backup_stored", stored.name, by=by, known=known)


def record_verified(
    *,
    stored: StoredSnapshot,
    verification: Verification,
    by: str | None = None,
    database: str | None = None,
    **_: object,
) -> None:
    """Add a row about the result of a verification."""
    known = {
        "outcome": verification.outcome,
        "tables": verification.tables,
        "rows": verification.rows,
        "seconds": verification.seconds,
        "database": database,
    }
    error = "" if verification.is_good else verification.reason
    _record("backup_verified", stored.name, by=by, known=known, error=error)


def record_deleted(
    *, ids: Sequence[str], by: str | None, database: str | None = None, **_: object
) -> None:
    """Add a row about stored snapshots that were deleted."""
    _record("backups_deleted", None, by=by, known={"ids": list(ids), "database": database})


def record_failed(
    *, error: object, by: str | None, database: str | None = None, **_: object
) -> None:
    """Add a row about a backup that failed."""
    _record("backup_failed", None, by=by, known={"database": database}, error=str(error))


def _record(
    operation: str, name: str | None, *, by: str | None, known: dict[str, Any], error: str = ""
) -> None:
    with or_a_warning("a backup"):
        if not services.is_readable():  # a new machine: connecting would create an empty database
            return
        with impatient():
            AuditLog.objects.create(
                operation=operation,
                resource_type=RESOURCE,
                resource_name=name,
                client_name=by,
                new_values={key: value for key, value in known.items() if value not in (None, "")},
                success=not error,
                error_message=error or None,
            )
