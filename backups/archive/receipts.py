"""
The receipts of the archive: what happened to stored snapshots, when and by whom.

They are written from this app's own signals, so that every process writes them. They are beside the
database: no restore changes them, and they stay if the storage is lost.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backups import services, signals

if TYPE_CHECKING:  # at run time these imports would slow each start of the site
    from backups.archive.catalog import StoredSnapshot
    from backups.archive.manifest import Verification

STORED, VERIFIED, DELETED, FAILED, STAGED = "stored", "verified", "deleted", "failed", "staged"
HELD, RELEASED, REFUSED = "held", "released", "refused"

MOST = 10**18  # bytes or seconds


@dataclass(frozen=True)
class ArchiveReceipt:
    """One thing that happened."""

    id: str
    at: str  # ISO 8601, UTC
    what: str  # "stored", "verified", "held", "released", "deleted", "failed", "staged",
    # or "refused": an upload or a stored snapshot that was to be restored
    snapshot: str | None = None  # the id of the stored snapshot
    by: str | None = None  # the key, the user, or "schedule"
    size: int | None = None  # bytes, of the stored file
    outcome: str | None = None  # of a verification
    reason: str = ""  # a sentence: what was wrong, or why it is held; else empty
    seconds: float | None = None  # how long it took to store it


KINDS = {each.name: str(each.type) for each in fields(ArchiveReceipt)}


def listen() -> None:
    """Write a receipt of everything that this process does to stored snapshots."""
    signals.snapshot_stored.connect(_stored, dispatch_uid=__name__)
    signals.snapshot_verified.connect(_verified, dispatch_uid=__name__)
    signals.snapshots_pruned.connect(_deleted, dispatch_uid=__name__)
    signals.backup_failed.connect(_failed, dispatch_uid=__name__)


def list_receipts(*, database: str | None = None) -> list[ArchiveReceipt]:
    """All receipts that are kept, the newest first. Reads only."""
    found = services.get_store(database).list_backup_receipts()
    return [receipt for receipt in map(_of, found) if receipt is not None]


def record(what: str, *, database: str | None = None, **words: Any) -> None:
    """Write a receipt. If the system refuses, that is only logged."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    receipt = ArchiveReceipt(str(uuid.uuid4()), now, what, **words)
    known = {name: value for name, value in asdict(receipt).items() if value not in (None, "")}
    services.get_store(database).record_backup(known)


def _stored(*, database: str | None, stored: StoredSnapshot, **_: Any) -> None:
    manifest = stored.manifest
    known = {} if manifest is None else {"by": manifest.by, "seconds": manifest.seconds}
    record(STORED, database=database, snapshot=stored.id, size=stored.size, **known)


def _verified(
    *,
    database: str | None,
    stored: StoredSnapshot,
    verification: Verification,
    by: str | None = None,
    **_: Any,
) -> None:
    outcome, reason = verification.outcome, verification.reason
    record(VERIFIED, database=database, snapshot=stored.id, by=by, outcome=outcome, reason=reason)


def _deleted(*, database: str | None, ids: tuple[str, ...], by: str | None, **_: Any) -> None:
    for each in ids:
        record(DELETED, database=database, snapshot=each, by=by)


def _failed(*, database: str | None, error: object, by: str | None, **_: Any) -> None:
    record(FAILED, database=database, by=by, reason=str(error))


def _of(words: dict[str, Any]) -> ArchiveReceipt | None:
    """What is of another type was changed by hand, and is left out."""
    known = {name: words[name] for name, kind in KINDS.items() if _is_fit(kind, words.get(name))}
    try:
        return ArchiveReceipt(**known)
    except TypeError:  # one that lacks its id, its time or what happened
        return None


def _is_fit(kind: str, value: object) -> bool:
    if "str" in kind:
        return isinstance(value, str)
    types = (int, float) if "float" in kind else (int,)
    return type(value) in types and 0 <= value < MOST  # type: ignore[operator]
