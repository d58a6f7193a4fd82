"""
The drill: read a stored snapshot back, and do all that a restore would do, except staging it.

    storage ─▶ decrypted, unpacked, hashed ─▶ checked ─▶ migrated ─▶ counted ─▶ its manifest

trial.py says what each result means.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from backups import services, signals
from backups.archive.catalog import Catalog, StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.manifest import Verification
from backups.archive.media.proving import prove_media
from backups.archive.media.tidying import check_media
from backups.archive.reading import read_checked, unpack_snapshot
from backups.archive.storing import get_catalog
from backups.archive.trial import Trial
from backups.archive.unpacking import unpack
from backups.conf import conf
from backups.disk.files import chunks_of
from backups.disk.progress import Progress, counted
from backups.exceptions import IdentityError, InvalidSnapshotError, NotStoredError, StorageError

logger = logging.getLogger(__name__)


def verify_snapshot(
    word: str,
    *,
    by: str,
    identity_file: Path | None = None,
    read_media: bool = True,
    database: str | None = None,
    progress: Progress = lambda _: None,
) -> tuple[StoredSnapshot, Verification]:
    """
    Verify a stored snapshot, and keep the result in its manifest. It can't be deleted meanwhile.

    The result "unreadable" says nothing about the snapshot, so it does not replace another result.

    :param word: its id, its name, or ``latest``.
    :param by: the name of the key or the user, for the record.
    :param identity_file: the file with the secret key; None for BACKUPS_IDENTITY_FILE.
    :param read_media: read its media files back too; else see only whether the storage has them.
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
            lost = partial(_lost_media, stored, read_media, identity_file, database)
            verification = _with_media(stored, verification, lost)
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


def _lost_media(
    stored: StoredSnapshot, read_media: bool, identity_file: Path | None, database: str | None
) -> list[str]:
    if read_media:
        identity = identity_file or conf.identity_file
        return prove_media(stored, identity_file=identity, database=database)
    names = check_media(stored, database=database)
    return [f"{name} is missing in the storage." for name in names]


def _with_media(
    stored: StoredSnapshot, verification: Verification, lost: Callable[[], list[str]]
) -> Verification:
    """Say what can't be put back of the media files. The database is good all the same."""
    media = stored.manifest.media if stored.manifest is not None else None
    try:
        sentences = lost()
        count = len(sentences)
    except (IdentityError, InvalidSnapshotError, StorageError) as error:
        sentences = [f"The list of them can't be read: {error}"]
        count = media.files if media is not None else 0
    if not sentences:
        return verification
    words = f"{count:,} of its media files can't be put back, e.g. {sentences[0]}"
    return replace(_warned(verification, words), lost_media=count)


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
