"""
What happens to the database as a whole, in the audit log.

A restored database contains the log of its own time. So the rows about restores are made
from the receipts, which stand beside the database: whatever the log lacks is added.

Nothing here may make a backup, a restore or a start fail: what goes wrong is logged.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from backups import services
from backups.site.query_limit import SECONDS, query_limit
from backups.store import Receipt
from taskdog.audit.models import AuditLog
from taskdog.transactions import is_postgres, limit, writing

NEWEST = 100  # receipts that the log is compared with
BUSY_MILLISECONDS = 2000  # to wait for another writer, while somebody waits for a snapshot
FAILURES = ("refused", "blocked")
RESOURCE = "database"

logger = logging.getLogger(__name__)


def record_backup(
    *, size: int, method: str, taken_at: datetime, taken_by: str | None, **_: object
) -> None:
    """Add a row about a snapshot of this many bytes. A receiver of ``snapshot_taken``."""
    with or_a_warning("the backup"), impatient():
        AuditLog.objects.create(
            operation="backup",
            resource_type=RESOURCE,
            resource_name=services.snapshot_name(taken_at),
            client_name=taken_by,
            timestamp=local(taken_at),
            new_values={"size": size, "method": method},
        )


def record_restores(**_: object) -> None:
    """
    Add a row for each of the newest receipts that the log does not have.

    Does nothing if it has them all. Several processes may do so at once. A receiver of
    ``restore_recorded``; to be called after a start too, which may have applied one.
    """
    with or_a_warning("the last restores"):
        receipts = services.list_receipts()[:NEWEST]
        if receipts and services.is_readable():
            with impatient():
                _add_missing(receipts)


def _add_missing(receipts: list[Receipt]) -> None:
    if not _missing(receipts):  # asked without the write lock, which most starts need not take
        return
    with writing():
        AuditLog.objects.bulk_create(map(_row, reversed(_missing(receipts))))


def _missing(receipts: list[Receipt]) -> list[Receipt]:
    recorded = AuditLog.objects.filter(
        resource_type=RESOURCE, new_values__receipt__in=[receipt.id for receipt in receipts]
    )
    known = set(recorded.values_list("new_values__receipt", flat=True))
    return [receipt for receipt in receipts if receipt.id not in known]


def _row(receipt: Receipt) -> AuditLog:
    known: dict[str, Any] = {
        "receipt": receipt.id,
        "size": receipt.size,
        "sha256": receipt.sha256,
        "staged_by": receipt.staged_by,
        "migrations": list(receipt.migrations),
        "kept": receipt.kept,
        "undoes": receipt.undoes,
        "removed": list(receipt.removed),
    }
    return AuditLog(
        timestamp=local(receipt.at),
        client_name=receipt.by,
        operation=_operation(receipt),
        resource_type=RESOURCE,
        new_values={name: value for name, value in known.items() if value},
        success=receipt.outcome not in FAILURES,
        error_message=receipt.reason or None,
    )


def _operation(receipt: Receipt) -> str:
    if receipt.outcome == "staged" and receipt.undoes:
        return "undo_staged"
    return f"restore_{receipt.outcome}"


def local(moment: datetime) -> datetime:
    """As the log has its times: in the site's zone, and not saying so."""
    return timezone.make_naive(moment)


@contextmanager
def impatient() -> Iterator[None]:
    """Don't wait for another writer as long as the site's own requests do."""
    if is_postgres():
        with transaction.atomic():
            limit("lock_timeout", BUSY_MILLISECONDS / 1000)
            limit("statement_timeout", SECONDS)  # see query_limit, which is for SQLite
            yield
        return
    with connection.cursor() as cursor:
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        try:
            with query_limit():  # this runs at each start, also on what was just restored
                yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout={before}")


@contextmanager
def or_a_warning(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a missing table, a lock, a read-only disk, a database in memory
        logger.warning("the audit log lacks %s: %s", what, error)
