"""The work of a job that checks a restore, shows its verdict, and waits for a decision."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from backups import services
from backups.api import serializers
from backups.archive import decisions, feeding, job_records
from backups.archive import services as archive
from backups.archive.job_progress import JobProgress
from backups.disk.progress import counted
from backups.exceptions import BadParameterError
from backups.site.closing import close_connections
from backups.store import PendingRestore, Prepared

MOST_TABLES = 1_000  # in a verdict, which is remembered beside the database
MEANWHILE = (
    "Another restore was applied while this one waited for a decision: the rows that were shown as"
    " live are those from before it."
)


def prepare(
    *,
    by: str,
    progress: JobProgress,
    source: Mapping[str, Any],
    seconds: float,
    account: str | None = None,
    accept: Collection[str] = (),
    at_least: int = 0,
    database: str | None = None,
) -> Any:
    """
    Check a snapshot, show the verdict, wait until somebody decides, and do that.

    :param source: an upload, a stored snapshot, or the kept copy of the last restore ("undo").
    :param seconds: how long to wait for a decision.
    :param at_least: how many bytes of an upload will certainly come; 0 if nobody knows.
    """
    progress.step("receiving")
    preparing = _preparing(source, by, progress, account, accept, at_least, database)
    with preparing as prepared:
        verdict, before = _verdict(prepared, source, database), _last_applied(database)
        # A restart must not have to wait for a person: it may replace the database now.
        close_connections()
        services.release_presence()
        decision = progress.wait(verdict, seconds=seconds)
        services.repair()  # which holds presence again
        progress.step("staging")
        pending = prepared.stage(staged_by=decision["by"])
        if _last_applied(database) != before:
            pending = replace(pending, warnings=(*pending.warnings, MEANWHILE))
    is_now = decision["what"] == decisions.APPLY
    return finish(pending, progress, by=decision["by"], is_now=is_now, database=database)


def finish(
    pending: PendingRestore, progress: JobProgress, *, by: str, is_now: bool, database: str | None
) -> Any:
    """Apply what is pending, if that is asked for. Returns what the API answers."""
    if not is_now:
        context = {"database": database}
        return serializers.PendingRestoreSerializer(pending, context=context).data
    progress.step("applying")
    receipt = services.apply_now(applied_by=by, sha256=pending.sha256, database=database)
    told = {"warnings": pending.warnings}
    return serializers.AppliedRestoreSerializer(receipt, context=told).data


def _preparing(
    source: Mapping[str, Any],
    by: str,
    progress: JobProgress,
    account: str | None,
    accept: Collection[str],
    at_least: int,
    database: str | None,
) -> AbstractContextManager[Prepared]:
    """:raises BadParameterError: there is no such source."""
    on_received = partial(progress.step, "checking")
    if source.get("kind") == "upload":
        progress.step("receiving", at_least or None)
        return archive.prepare_upload(
            counted(feeding.received(progress.look), progress),
            name=str(source.get("name", "")),
            staged_by=by,
            at_least=at_least,
            account=account,
            accept=accept,
            database=database,
            watch=progress.look,
            on_received=on_received,
            tell=progress.tell,
        )
    if source.get("kind") == "stored":
        stored = archive.find_snapshot(str(source.get("id")), database=database)
        progress.step("receiving", stored.database_size)
        return archive.prepare_snapshot(
            stored.id,
            staged_by=by,
            account=account,
            accept=accept,
            database=database,
            progress=progress.heed,
            watch=progress.look,
            on_received=on_received,
            tell=progress.tell,
        )
    if source.get("kind") == "undo":
        return services.prepare_undo(
            staged_by=by,
            database=database,
            watch=progress.look,
            on_received=on_received,
            tell=progress.tell,
        )
    raise BadParameterError(f"Nothing can be restored from {dict(source)!r}.")


def _verdict(prepared: Prepared, source: Mapping[str, Any], database: str | None) -> dict[str, Any]:
    pending, taken_at = prepared.pending, prepared.taken_at
    live, rows = services.count_rows(database=database), prepared.rows
    return {
        "at": job_records.now(),
        "kind": source["kind"],
        "name": pending.undoes or source.get("id") or source.get("name", ""),
        "size": pending.size,
        "sha256": pending.sha256,
        "taken_at": taken_at and taken_at.isoformat(),
        "migrations": list(pending.migrations),
        "warnings": list(pending.warnings),
        "rows": _compared(live, rows),
        "emptied": [table for table in rows if prepared.is_emptied(table)][:MOST_TABLES],
    }


def _compared(live: Mapping[str, int], rows: Mapping[str, int]) -> list[dict[str, Any]]:
    """Of too many tables, those that differ come first."""
    tables = sorted({*live, *rows})
    if len(tables) > MOST_TABLES:
        tables = sorted(tables, key=lambda table: live.get(table) == rows.get(table))[:MOST_TABLES]
    return [
        {"table": table, "live": live.get(table), "snapshot": rows.get(table)} for table in tables
    ]


def _last_applied(database: str | None) -> str | None:
    """The id of the receipt of the last restore that was applied."""
    receipts = services.list_receipts(database=database)
    return next((each.id for each in receipts if each.outcome == "applied"), None)
