"""What the API answers: one JSON shape for a thing, wherever it shows."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from backups import services
from backups.exceptions import BackupError, NotEnoughSpaceError
from backups.store import Download, KeptCopy, PendingRestore, Receipt, RestoreStatus

RESTART_REQUIRED = "restart required"


class RestoreUploadSerializer(serializers.Serializer[Any]):
    """The upload form of the browsable API."""

    file = serializers.FileField(help_text="A snapshot that came from this site's backup.")


class UndoSerializer(serializers.Serializer[Any]):
    """The form of the browsable API that is a button and nothing else."""


def describe_pending(pending: PendingRestore, *, database: str | None = None) -> dict[str, Any]:
    """A restore that waits for the next start."""
    return {
        "status": "pending",
        "message": RESTART_REQUIRED,
        "size": pending.size,
        "sha256": pending.sha256,
        "staged_at": pending.staged_at,
        "staged_by": pending.staged_by,
        "migrations": pending.migrations,
        "warnings": pending.warnings,
        "undoes": pending.undoes,
        "next_start": services.describe_next_start(pending, database=database),
    }


def describe_status(
    status: RestoreStatus, *, max_upload_bytes: int, database: str | None = None
) -> dict[str, Any]:
    """What is pending, what the last restore did, and what an upload may be."""
    now = (
        describe_pending(status.pending, database=database) | _describe_waiting(status.present)
        if status.pending
        else {"status": "nothing", "message": "no restore is pending"}
    )
    return now | {
        "last": describe_receipt(status.last) if status.last else None,
        "in_use_by": status.present,
        "max_upload_bytes": max_upload_bytes,
    }


def _describe_waiting(present: tuple[str, ...]) -> dict[str, Any]:
    """Who has to end before a start can apply: a restart ends the server's own processes."""
    waiting = f"; waiting for {', '.join(present)}" if present else ""
    return {"message": f"{RESTART_REQUIRED}{waiting}", "waiting_for": present}


def describe_receipt(receipt: Receipt) -> dict[str, Any]:
    """The outcome of a restore."""
    return {
        "id": receipt.id,
        "at": receipt.at,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "size": receipt.size,
        "sha256": receipt.sha256,
        "staged_at": receipt.staged_at,
        "staged_by": receipt.staged_by,
        "migrations": receipt.migrations,
        "kept": receipt.kept,
        "seconds": receipt.seconds,
        "by": receipt.by,
        "undoes": receipt.undoes,
        "removed": receipt.removed,
    }


def describe_applied(receipt: Receipt, warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    """A restore that was applied without a restart."""
    return {
        "status": "applied",
        "message": "the snapshot is live",
        **describe_receipt(receipt),
        "warnings": warnings,
    }


def describe_restores(
    receipts: list[Receipt], kept: list[KeptCopy], downloads: list[Download]
) -> dict[str, Any]:
    """What happened to restores, what could be gone back to, and who has taken snapshots."""
    return {
        "restores": [describe_receipt(receipt) for receipt in receipts],
        "kept": [describe_kept(copy) for copy in kept],
        "downloads": [asdict(download) for download in downloads],
    }


def describe_kept(kept: KeptCopy) -> dict[str, Any]:
    """What was live before a restore."""
    return {
        "name": kept.name,
        "size": kept.size,
        "kept_at": kept.kept_at,
        "is_database": kept.is_database,
        "stays_until": kept.stays_until,
    }


def describe_discarded(discarded: PendingRestore | None) -> dict[str, Any]:
    """What was pending until now."""
    return {
        "status": "discarded",
        "message": "the pending restore was discarded",
        "size": discarded.size if discarded else None,
        "sha256": discarded.sha256 if discarded else None,
        "staged_at": discarded.staged_at if discarded else None,
        "staged_by": discarded.staged_by if discarded else None,
    }


def describe_error(error: BackupError) -> dict[str, Any]:
    """What happened to which file, and what to do next; sizes where the disk is full."""
    body: dict[str, Any] = {"detail": str(error), "code": error.code, "hint": error.hint}
    if isinstance(error, NotEnoughSpaceError):
        body |= {"needed_bytes": error.needed_bytes, "free_bytes": error.free_bytes}
    return body
