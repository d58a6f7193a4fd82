"""
The job of a page: check a snapshot, say what it would do, and wait for a person to decide.

    receiving ─▶ checking ─▶ waiting ─▶ staging ─▶ (applying)

Until the decision nothing is staged, and with the process its file goes. While it waits, it has no
connection to the database and is not present, so that a start can apply what is pending.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connections

from backups import services
from backups.archive import decisions
from backups.archive import services as archive
from backups.archive.feeding import fed
from backups.archive.job_records import WAITING, Job, change_job, read_job
from backups.archive.reporting import Report
from backups.exceptions import BackupError
from backups.management.archive.finish import finish
from backups.store import BackupStore, Prepared

UPLOAD, STORED, UNDO = "upload", "stored", "undo"  # the kinds of sources


def prepare(
    *,
    by: str,
    report: Report,
    at_least: int = 0,
    account: str | None = None,
    accept: Collection[str] = (),
    database: str | None = None,
) -> Any:
    """Prepare the snapshot that the job names, and do what is decided about it."""
    store = services.get_store(database)
    job = read_job(store, report.job_id)
    assert job is not None
    with _prepared(job, report, at_least, account, accept, database) as prepared:
        _show_verdict(store, job, prepared, database)
        decided = _wait_outside(store, job)
        assert decided.decision is not None
        what, by = decided.decision["what"], decided.decision["by"]
        report.step("staging")
        pending = prepared.stage(by)
    is_now = what == decisions.APPLY
    if is_now:
        report.step("applying")
    return finish(pending, by=by, is_now=is_now, database=database)


def _prepared(
    job: Job,
    report: Report,
    at_least: int,
    account: str | None,
    accept: Collection[str],
    database: str | None,
) -> AbstractContextManager[Prepared]:
    assert job.source is not None
    watch = decisions.watch(services.get_store(database), job.id)
    kind = job.source["kind"]
    common: dict[str, Any] = {"staged_by": job.by, "database": database, "watch": watch}
    if kind == UNDO:
        report.step("checking")
        return services.prepare_undo(**common)
    common |= {"account": account, "accept": accept}
    observed = partial(_observed, watch, report)
    if kind == STORED:
        word = job.source["id"]
        report.step("receiving", archive.unpacked_size(word, database=database))
        return archive.prepare_snapshot(word, through=observed, **common)
    report.step("receiving", at_least or None)
    chunks = observed(fed(sys.stdin.buffer))
    return services.prepare_restore(chunks, at_least=at_least, **common)


def _observed(
    watch: Callable[[], None], report: Report, chunks: Iterable[bytes]
) -> Iterator[bytes]:
    """The same bytes. Somebody may cancel while they arrive; after them begins the check."""
    for chunk in chunks:
        watch()
        report.add(len(chunk))
        yield chunk
    report.step("checking")


def _show_verdict(store: BackupStore, job: Job, prepared: Prepared, database: str | None) -> None:
    """Remember what the snapshot would do; the job waits from then on."""
    verdict = _verdict(job, prepared, database)
    change_job(store, job.id, lambda _: {"step": WAITING, "verdict": verdict})


def _wait_outside(store: BackupStore, job: Job) -> Job:
    """Wait for the decision without the database, and be present again before this returns."""
    connections.close_all()
    services.release_presence()
    try:
        return decisions.await_decision(store, job.id)
    finally:
        services.hold_presence()


def _verdict(job: Job, prepared: Prepared, database: str | None) -> dict[str, Any]:
    pending, source = prepared.pending, job.source or {}
    taken_at = _taken_at(source, prepared, database)
    try:
        live: Mapping[str, int] | None = services.count_rows(database=database)
    except BackupError:  # a ruined database must not prevent the restore of a good one
        live = None
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": source["kind"],
        "name": pending.undoes or source.get("id") or source.get("name", ""),
        "size": pending.size,
        "sha256": pending.sha256,
        "taken_at": None if taken_at is None else taken_at.isoformat(timespec="seconds"),
        "migrations": pending.migrations,
        "warnings": pending.warnings,
        "rows": _rows(live, prepared.count_rows()),
        "is_live_known": live is not None,
        "emptied": prepared.emptied,
    }


def _rows(
    live: Mapping[str, int] | None, snapshot: Mapping[str, int]
) -> list[dict[str, str | int | None]]:
    """Each table of either, with its rows in both; None where there is none, or nobody knows."""
    live = live or {}
    return [
        {"table": table, "live": live.get(table), "snapshot": snapshot.get(table)}
        for table in sorted({*live, *snapshot})
    ]


def _taken_at(
    source: Mapping[str, str], prepared: Prepared, database: str | None
) -> datetime | None:
    """When the snapshot was taken, as far as this site can tell."""
    if prepared.sent_at is not None:
        return prepared.sent_at
    if (undone := prepared.pending.undoes) is not None:
        kept = services.list_kept_copies(database=database)
        return next((each.kept_at for each in kept if each.name == undone), None)
    return services.time_in_name(source.get("name", ""), database=database)
