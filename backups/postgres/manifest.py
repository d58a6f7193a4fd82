"""The manifest of a pending restore: its entry in the state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from backups.store import PendingRestore, Receipt

PENDING = "pending"  # its name in the state
MOMENTS = ("staged_at", "taken_at")


@dataclass(frozen=True)
class Manifest:
    """What waits for the next start, as it is now and as it was uploaded."""

    id: str  # of this staging: no other has it
    size: int  # bytes, as uploaded
    sha256: str  # as uploaded
    staged_at: datetime  # UTC
    staged_by: str
    migrations: tuple[str, ...]  # that it has now, in order
    historic: tuple[str, ...] = ()  # of these, those that a start need not know
    migrated: tuple[str, ...] = ()  # that were run on it
    warnings: tuple[str, ...] = ()
    undoes: str | None = None  # the name of the kept database
    taken_at: datetime | None = None  # UTC
    fails: str | None = None  # why this kept database is put back without its migrations
    tries: int = 0  # starts that have begun its migrations

    def to_state(self) -> dict[str, Any]:
        """Fit for JSON."""
        found = asdict(self)
        return found | {name: _iso(found[name]) for name in MOMENTS}

    @classmethod
    def of_state(cls, value: Mapping[str, Any] | None) -> "Manifest | None":
        """As it was kept; None if there is none, or it was changed by hand."""
        if value is None:
            return None
        try:
            names = {field.name for field in fields(cls)}
            known = {name: each for name, each in value.items() if name in names}
            for name, each in known.items():
                if isinstance(each, list):
                    known[name] = tuple(map(str, each))
                elif name in MOMENTS and each is not None:
                    known[name] = datetime.fromisoformat(each)
            return cls(**known)
        except (TypeError, ValueError):
            return None

    def describe(self, missing: tuple[str, ...] = ()) -> PendingRestore:
        """For those who ask. ``missing``: the migrations that the next start has to run."""
        return PendingRestore(
            size=self.size,
            sha256=self.sha256,
            staged_at=self.staged_at,
            staged_by=self.staged_by,
            migrations=missing,
            warnings=self.warnings,
            undoes=self.undoes,
        )


def unknown_manifest(size: int = 0) -> Manifest:
    """For a database of the pending name that nobody staged: somebody renamed it to that."""
    return Manifest(
        id="", size=size, sha256="", staged_at=datetime.now(UTC), staged_by="unknown", migrations=()
    )


def receipt_of(
    moment: datetime,
    outcome: str,
    reason: str = "",
    manifest: Manifest | None = None,
    *,
    number: str,
    kept: str | None = None,
    seconds: float = 0.0,
    by: str | None = None,
    removed: tuple[str, ...] = (),
) -> Receipt:
    """A receipt of this id. Writes nothing."""
    return Receipt(
        id=number,
        at=moment,
        outcome=outcome,
        reason=reason,
        size=manifest.size if manifest else None,
        sha256=manifest.sha256 if manifest else None,
        staged_at=manifest.staged_at if manifest else None,
        staged_by=manifest.staged_by if manifest else None,
        migrations=manifest.migrated if manifest else (),
        kept=kept,
        seconds=round(seconds, 3),
        by=by,
        undoes=manifest.undoes if manifest else None,
        removed=removed,
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
