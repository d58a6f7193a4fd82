"""
The drill: read a stored snapshot back and do all that a restore would do with it, but stage it.

    storage ─▶ decrypted, unpacked, hashed ─▶ checked ─▶ migrated ─▶ counted ─▶ its manifest

What went wrong decides what is said of the snapshot. It is *damaged* if its bytes are not what was
stored, or are no whole database; *refused* if they are, and the installed release would not restore
them; *unreadable* if it could not be tried: a missing key, a storage that fails or a full disk say
nothing against it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from backups import services, signals
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.manifest import Manifest, Verification
from backups.archive.reading import read_checked, unpack_snapshot
from backups.archive.storing import get_catalog
from backups.archive.unpacking import unpack
from backups.conf import conf
from backups.disk.files import CHUNK_BYTES
from backups.exceptions import (
    BackupError,
    CheckOutOfMemoryError,
    CheckTimedOutError,
    DamagedSnapshotError,
    IdentityError,
    InvalidSnapshotError,
    MissingPackageError,
    NotADatabaseError,
    NotStoredError,
    RestoreBlockedError,
    RestoreRefusedError,
    SnapshotTooLargeError,
    StorageError,
    WrongLengthError,
)
from backups.store import Proof

Progress = Callable[[int], None]

MOST_NAMED = 3  # tables in a sentence
NO_KEY = (IdentityError, MissingPackageError)
NOT_ITS_FAULT = (CheckTimedOutError, CheckOutOfMemoryError)
DAMAGE = (DamagedSnapshotError, NotADatabaseError, WrongLengthError)
FOR_OTHERS = (RestoreBlockedError, RestoreRefusedError, WrongLengthError)
REFUSAL = (InvalidSnapshotError, RestoreRefusedError, SnapshotTooLargeError)

logger = logging.getLogger(__name__)


def verify(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> Verification:
    """
    Try a stored snapshot, and keep the result in its manifest. It can't be deleted meanwhile.

    A result that says nothing about the snapshot does not replace one that does.

    :param word: its id, its name, or ``latest``.
    :param by: the name of the key or the user, for the record.
    :param identity_file: with the secret key; None for BACKUPS_IDENTITY_FILE.
    :param progress: called with the number of bytes of each step, which add up to the database.
    :returns: the result, whatever it is.
    :raises NotStoredError: there is none.
    :raises StorageError: the storage can't be asked which there are.
    """
    catalog = get_catalog(database)
    stored = catalog.find(word, even_lost=True)
    with in_use(stored, database=database):
        verification = _Drill(
            lambda: unpack_snapshot(stored, identity_file=identity_file, database=database),
            lambda: read_checked(stored, database=database),
            stored.manifest,
            database,
            progress,
        ).run()
        if verification.outcome != "restorable" and _is_gone(catalog, stored):
            verification = _gone(catalog, stored, verification)
        stored, verification = _keep(catalog, stored, verification)
    level = logging.INFO if verification.is_good else logging.WARNING
    logger.log(level, "%s verified by %s: %s", stored.name, by, verification.sentence)
    signals.snapshot_verified.send_robust(
        sender=None, database=database, stored=stored, verification=verification
    )
    return verification


def verify_file(
    path: Path,
    *,
    identity_file: Path | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> Verification:
    """
    Try a file that holds a snapshot, packed by whatever program: age, zstd and gzip are recognised.

    :param progress: called with the number of bytes of each step, which add up to the file.
    :raises NotStoredError: there is no such file.
    :raises OwnFileError: it is the live database.
    """
    if not path.exists():
        raise NotStoredError(f"There is no file {path}.", hint="")
    services.check_not_live(path)
    identity = identity_file or conf.identity_file
    return _Drill(
        lambda: unpack(_read(path, progress), path.name, identity_file=identity),
        lambda: (),
        None,
        database,
        lambda _: None,
    ).run()


@dataclass(frozen=True)
class _Drill:
    """One snapshot that is tried."""

    unpack: Callable[[], Iterable[bytes]]  # the database in it
    read: Callable[[], Iterable[bytes]]  # the file as it is, compared with the manifest
    manifest: Manifest | None
    database: str | None
    progress: Progress

    def run(self) -> Verification:
        began, proof = time.monotonic(), None
        try:
            proof = self._prove_twice()
            reason = _compare(proof, self.manifest)
            outcome = "damaged" if reason else "restorable"
        except NO_KEY as error:
            outcome, reason = self._without_key(error)
        except (BackupError, MemoryError) as error:
            outcome, reason = _outcome(error), _reason(error)
        found = Verification(
            at=datetime.now(UTC).replace(microsecond=0),  # as the manifest has it
            outcome=outcome,
            reason=reason,
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

    def _prove_twice(self) -> Proof:
        """Damage must be found twice: a line or a disk that fails for a moment looks like it."""
        try:
            return self._prove()
        except DAMAGE:
            return self._prove()

    def _prove(self) -> Proof:
        return services.prove_snapshot(
            _counted(self.unpack(), self.progress),
            at_least=0 if self.manifest is None else self.manifest.database_size,
            database=self.database,
        )

    def _without_key(self, error: BackupError) -> tuple[str, str]:
        """What can be said of it still: a changed byte can look like a key that does not fit."""
        try:
            for _ in self.read():
                pass
        except BackupError as worse:
            return _outcome(worse), _reason(worse)
        same = "" if self.manifest is None else "Its bytes are those that were stored."
        return "unreadable", " ".join(filter(None, (str(error), same, _hint(error))))


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
    """What is not as it was when it was stored, in a sentence; empty if nothing is."""
    if manifest is None or not manifest.rows:
        return ""
    rows = proof.came.rows
    different = [
        f"{table} has {rows[table]:,} rows, and had {count:,}"
        if table in rows
        else f"{table} is missing, and had {count:,} rows"
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


def _is_gone(catalog: Catalog, stored: StoredSnapshot) -> bool:
    try:
        return catalog.files.size(stored.name) is None
    except StorageError:  # nobody knows
        return False


def _gone(catalog: Catalog, stored: StoredSnapshot, verification: Verification) -> Verification:
    """:raises NotStoredError: its manifest is gone too: somebody has deleted it."""
    catalog.find(stored.id, even_lost=True)
    reason = f"The stored file is missing in {catalog.files.where}: only its manifest is left."
    return replace(verification, outcome="damaged", reason=reason)


def _keep(
    catalog: Catalog, stored: StoredSnapshot, verification: Verification
) -> tuple[StoredSnapshot, Verification]:
    """Returns what is known now. That it can't be kept is a warning: the result is told."""
    earlier = stored.verification
    if verification.outcome == "unreadable" and earlier and earlier.outcome != "unreadable":
        at = earlier.at.isoformat(timespec="seconds").replace("+00:00", "Z")
        words = f"The earlier result stays: {earlier.outcome}, verified at {at}."
        return stored, _warned(verification, words)
    try:
        manifest = catalog.change(stored, lambda now: replace(now, verification=verification))
    except StorageError as error:
        return stored, _warned(verification, f"The result could not be kept: {error}")
    return replace(stored, manifest=manifest), verification


def _warned(verification: Verification, words: str) -> Verification:
    return replace(verification, warnings=(*verification.warnings, words))


def _read(path: Path, progress: Progress) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                progress(len(chunk))
                yield chunk
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}.", hint="") from error


def _counted(chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress(len(chunk))
        yield chunk
