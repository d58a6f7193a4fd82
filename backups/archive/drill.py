"""
The drill: read a stored snapshot back, and do all that a restore would do, except staging it.

    storage ─▶ decrypted, unpacked, hashed ─▶ checked ─▶ migrated ─▶ counted ─▶ its manifest

trial.py says what each result means.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from backups import services, signals
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.manifest import Verification
from backups.archive.media.tidying import check_media
from backups.archive.reading import read_checked, unpack_snapshot
from backups.archive.storing import get_catalog
from backups.archive.trial import Trial
from backups.archive.unpacking import unpack
from backups.conf import conf
from backups.disk.files import chunks_of
from backups.disk.progress import Progress, counted
from backups.exceptions import InvalidSnapshotError, NotStoredError, StorageError

logger = logging.getLogger(__name__)


def verify_snapshot(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> tuple[StoredSnapshot, Verification]:
    """
    Verify a stored snapshot, and keep the result in its manifest. It can't be deleted meanwhile.

    The result "unreadable" says nothing about the snapshot, so it does not replace another result.

    :param word: its id, its name, or ``latest``.
    :param by: the name of the key or the user, for the record.
    :param identity_file: the file with the secret key; None for BACKUPS_IDENTITY_FILE.
    :param progress: called with the number of bytes of each step. The sum is the database's size.
    :returns: the snapshot, and the result, whatever it is.
    :raises NotStoredError: there is no such snapshot.
    :raises StorageError: the storage can't be listed.
    """
    catalog = get_catalog(database)
    stored = catalog.find(word, even_lost=True)
    with in_use(stored, database=database):
        stored = catalog.again(stored) or stored  # another process may have changed it
        verification = Trial(
            lambda: unpack_snapshot(stored, identity_file=identity_file, database=database),
            lambda: read_checked(stored, database=database),
            stored.manifest,
            database,
            progress,
        ).run()
        if verification.outcome != "restorable" and _is_gone(catalog, stored):
            verification = _gone(catalog, stored, verification)
        if verification.is_good:
            verification = _with_media(stored, verification, database)
        stored, verification = _keep(catalog, stored, verification)
    level = logging.INFO if verification.is_good else logging.WARNING
    logger.log(level, "%s verified by %s: %s", stored.name, by, verification.sentence)
    signals.snapshot_verified.send_robust(
        sender=None, database=database, stored=stored, verification=verification, by=by
    )
    return stored, verification


def verify_file(
    path: Path,
    *,
    identity_file: Path | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> Verification:
    """
    Verify a file that holds a snapshot. Files of age, zstd and gzip are recognised.

    :param progress: called with the number of bytes of each step. The sum is the file's size.
    :raises NotStoredError: there is no such file.
    :raises OwnFileError: it is the live database.
    """
    if not path.exists():
        raise NotStoredError(f"There is no file {path}.", hint="")
    services.check_not_live(path)
    identity = identity_file or conf.identity_file
    return Trial(
        lambda: unpack(_read(path, progress), path.name, identity_file=identity),
        lambda: (),
        None,
        database,
        lambda _: None,
    ).run()


def _with_media(
    stored: StoredSnapshot, verification: Verification, database: str | None
) -> Verification:
    """Warn of media files that the storage no longer has. Their contents are not read."""
    try:
        lost = check_media(stored, database=database)
        words = f"{len(lost):,} of its media files are missing in the storage." if lost else ""
    except (InvalidSnapshotError, StorageError) as error:
        words = f"The list of its media files can't be read: {error}"
    warnings = (*verification.warnings, *filter(None, [words]))
    return replace(verification, warnings=warnings)


def _is_gone(catalog: Catalog, stored: StoredSnapshot) -> bool:
    try:
        return catalog.files.size(stored.name) is None
    except StorageError:  # nobody knows
        return False


def _gone(catalog: Catalog, stored: StoredSnapshot, verification: Verification) -> Verification:
    """The result if the file is gone. :raises NotStoredError: its manifest is gone too."""
    catalog.find(stored.id, even_lost=True)
    reason = f"The stored file is missing in {catalog.files.where}: only its manifest is left."
    return replace(verification, outcome="damaged", reason=reason)


def _keep(
    catalog: Catalog, stored: StoredSnapshot, verification: Verification
) -> tuple[StoredSnapshot, Verification]:
    """Returns both as they are now. If the result can't be kept, it gets a warning."""
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
            yield from counted(chunks_of(file), progress)
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}.", hint="") from error
