"""Hold a stored snapshot, so that nobody deletes it, and release it."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from backups.archive.catalog import StoredSnapshot
from backups.archive.in_use import in_use
from backups.archive.manifest import Hold
from backups.archive.receipts import HELD, RELEASED, record
from backups.archive.storing import get_catalog
from backups.exceptions import BusyError, NotStoredError, StorageError

logger = logging.getLogger(__name__)


def hold(
    word: str, *, by: str, reason: str = "", wait: bool = True, database: str | None = None
) -> StoredSnapshot:
    """
    Note in the manifest of a stored snapshot that it must not be deleted, and who says so.

    :param word: its id, its name, or ``latest``.
    :param wait: while it is being restored or verified.
    :raises BusyError: it is, and ``wait`` is false.
    :raises NotStoredError: there is no such snapshot, or it was deleted just now.
    :raises StorageError: the manifest is missing, or can't be replaced.
    """
    stored = _note(word, Hold(datetime.now(UTC).replace(microsecond=0), by, reason), wait, database)
    logger.info("held by %s: %s", by, stored.name)
    record(HELD, database=database, snapshot=stored.id, by=by, reason=reason)
    return stored


def release(
    word: str, *, by: str, wait: bool = True, database: str | None = None
) -> StoredSnapshot:
    """
    Let a stored snapshot be deleted again. Does nothing if nobody holds it.

    :raises BackupError: as ``hold``.
    """
    stored = _note(word, None, wait, database)
    logger.info("released by %s: %s", by, stored.name)
    record(RELEASED, database=database, snapshot=stored.id, by=by)
    return stored


def _note(word: str, held: Hold | None, wait: bool, database: str | None) -> StoredSnapshot:
    catalog = get_catalog(database)
    found = catalog.find(word)
    with ExitStack() as stack:
        try:
            stack.enter_context(in_use(found, wait=wait, database=database))
        except BusyError as error:
            raise BusyError(
                f"{found.id} is being restored or verified.",
                hint="Wait until that has ended, then try again.",
            ) from error
        stored = catalog.again(found)
        if stored is None:
            raise NotStoredError(f"{found.id} has just been deleted.")
        if stored.manifest is not None and stored.hold == held:
            return stored
        try:
            catalog.change(stored, lambda manifest: replace(manifest, hold=held))
        except StorageError as error:
            if stored.manifest is None:
                raise
            raise _not_noted(stored, held, str(error)) from error
        changed = catalog.again(stored)
    if changed is None or changed.hold != held:
        raise _not_noted(stored, held, f"{catalog.files.where} keeps the old manifest.")
    return changed


def _not_noted(stored: StoredSnapshot, held: Hold | None, why: str) -> StorageError:
    return StorageError(
        f"{stored.id} could not be {'released' if held is None else 'held'}: {why}",
        hint="The storage must let the site replace the manifest. If it does not, set BACKUPS_KEEP"
        f" so that the snapshot stays, or keep a copy: manage.py backups download {stored.id}",
    )
