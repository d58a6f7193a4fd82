"""
Verify one snapshot: do what a restore would do with it, and say what was found.

    restorable    a restore would take it
    damaged       its bytes are not what was stored, or are not a whole database
    refused       it is whole, but the installed release would not restore it
    unreadable    it could not be verified: a missing key, a storage that fails, a full disk. That
                  says nothing about the snapshot
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from backups import services
from backups.archive.manifest import Manifest, Verification
from backups.disk.progress import Progress, counted
from backups.exceptions import (
    BackupError,
    CheckOutOfMemoryError,
    CheckTimedOutError,
    DamagedSnapshotError,
    IdentityError,
    InvalidSnapshotError,
    MissingPackageError,
    NotADatabaseError,
    RestoreBlockedError,
    RestoreRefusedError,
    SnapshotTooLargeError,
    WrongLengthError,
    printable,
)
from backups.store import Proof

T = TypeVar("T")

MOST_NAMED = 3  # tables that a sentence names
NO_KEY = (IdentityError, MissingPackageError)
NOT_ITS_FAULT = (CheckTimedOutError, CheckOutOfMemoryError)
DAMAGE = (DamagedSnapshotError, NotADatabaseError, WrongLengthError)
REFUSAL = (InvalidSnapshotError, RestoreRefusedError, SnapshotTooLargeError)
# Their hints are for somebody who sends a snapshot, or applies one.
FOR_OTHERS = (RestoreBlockedError, RestoreRefusedError, WrongLengthError)


@dataclass(frozen=True)
class Trial:
    """The verification of one snapshot."""

    unpack: Callable[[], Iterable[bytes]]  # the database in it
    read: Callable[[], Iterable[bytes]]  # the file as it is, compared with the manifest
    manifest: Manifest | None
    database: str | None
    progress: Progress

    def run(self) -> Verification:
        """The result, whatever it is."""
        began, proof = time.monotonic(), None
        try:
            proof = _twice(self._prove)
            reason = _compare(proof, self.manifest)
            outcome = "damaged" if reason else "restorable"
        except NO_KEY as error:
            outcome, reason = self._without_key(error)
        except (BackupError, MemoryError) as error:
            outcome, reason = _outcome(error), _reason(error)
        found = Verification(
            at=datetime.now(UTC).replace(microsecond=0),  # as the manifest has it
            outcome=outcome,
            reason=printable(reason),  # it quotes the manifest, which anybody may have written
            seconds=round(time.monotonic() - began, 3),
        )
        if proof is None:
            return found
        return replace(
            found,
            tables=len(proof.restored.rows),
            rows=sum(proof.restored.rows.values()),
            migrations=len(proof.migrations),
            warnings=proof.warnings,
        )

    def _prove(self) -> Proof:
        return services.prove_snapshot(
            counted(self.unpack(), self.progress),
            at_least=0 if self.manifest is None else self.manifest.database_size,
            database=self.database,
        )

    def _without_key(self, error: BackupError) -> tuple[str, str]:
        """What is known without a key. A changed byte can look like a key that does not fit."""
        try:
            _twice(self._read)
        except BackupError as worse:
            return _outcome(worse), _reason(worse)
        words = [str(error), _hint(error)]
        if self.manifest is not None:
            words[1:1] = ["The stored file has not changed."]
            if self.manifest.recipients:
                words[1:1] = [f"It is encrypted to {', '.join(self.manifest.recipients)}."]
        return "unreadable", " ".join(filter(None, words))

    def _read(self) -> None:
        for _ in self.read():
            pass


def _twice(step: Callable[[], T]) -> T:
    """Damage must be found twice: a network or disk that fails for a moment looks like it."""
    try:
        return step()
    except DAMAGE:
        return step()


def _outcome(error: Exception) -> str:
    if isinstance(error, NOT_ITS_FAULT):
        return "unreadable"
    if isinstance(error, DAMAGE):
        return "damaged"
    return "refused" if isinstance(error, REFUSAL) else "unreadable"


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "There was not enough memory."
    return f"{error} {_hint(error)}".strip()


def _hint(error: Exception) -> str:
    """What to do, unless that is for somebody who sends or applies a snapshot."""
    hint = getattr(error, "hint", "").removeprefix("Nothing was staged. ")
    is_for_others = hint in InvalidSnapshotError.hint or isinstance(error, FOR_OTHERS)
    return "" if is_for_others else hint


def _compare(proof: Proof, manifest: Manifest | None) -> str:
    """What differs from what was stored, in a sentence; empty if nothing does."""
    if manifest is None or not manifest.rows:
        return ""
    rows = proof.came.rows
    different = [
        f"{table} has {rows[table]:,} rows, and had {count:,}"
        if table in rows
        else f"{table} is missing, with its {count:,} rows"
        for table, count in manifest.rows.items()
        if table not in proof.emptied and rows.get(table) != count
    ]
    if proof.came.migrations != manifest.migrations:
        different.append("django_migrations names other migrations")
    if not different:
        return ""
    more = len(different) - MOST_NAMED
    words = "; ".join(different[:MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
    return f"It is not what was stored: {words}."
