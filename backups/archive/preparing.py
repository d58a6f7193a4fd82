"""Check an upload or a stored snapshot, and leave it to the caller to stage it."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from backups import services
from backups.archive.in_use import in_use
from backups.archive.reading import unpack_snapshot
from backups.archive.receipts import REFUSED, STAGED, record
from backups.archive.storing import get_catalog
from backups.disk.progress import Progress, counted
from backups.disk.timestamp import parse_timestamp
from backups.exceptions import InvalidSnapshotError, SnapshotTooLargeError
from backups.site import local_store
from backups.store import PendingRestore, Prepared, Tell, Turn


@contextmanager
def prepare_upload(
    chunks: Iterable[bytes],
    *,
    name: str,
    staged_by: str,
    at_least: int = 0,
    account: str | None = None,
    accept: Collection[str] = (),
    database: str | None = None,
    watch: Callable[[], None] | None = None,
    on_received: Callable[[], None] = lambda: None,
    tell: Tell = lambda *_: None,
) -> Iterator[Prepared]:
    """
    Check an upload, as ``services.prepare_restore`` does. If it is refused, a receipt says so.

    :param name: of the uploaded file: it may say when the snapshot was taken.
    :raises BackupError: as ``services.prepare_restore``.
    """
    preparing = services.prepare_restore(
        chunks,
        staged_by=staged_by,
        at_least=at_least,
        account=account,
        accept=accept,
        database=database,
        watch=watch,
        on_received=on_received,
        tell=tell,
    )
    with ExitStack() as stack:
        with _refusals_recorded(staged_by, database):
            prepared = stack.enter_context(preparing)
        yield replace(prepared, taken_at=prepared.taken_at or _time_in(name, database))


@contextmanager
def prepare_snapshot(
    word: str,
    *,
    staged_by: str,
    identity_file: Path | None = None,
    account: str | None = None,
    accept: Collection[str] = (),
    turn: Turn | None = None,
    database: str | None = None,
    progress: Progress = lambda _: None,
    watch: Callable[[], None] | None = None,
    on_received: Callable[[], None] = lambda: None,
    tell: Tell = lambda *_: None,
) -> Iterator[Prepared]:
    """
    Check a stored snapshot, as ``services.prepare_restore`` checks an upload. If it is refused, a
    receipt says so. Until it is checked, it can't be deleted; then all its bytes are here.

    :param word: its id, its name, or ``latest``.
    :param progress: called with the number of bytes of each step. The sum is the database's size.
    :raises NotStoredError: there is no such snapshot.
    :raises BackupError: as ``unpack_snapshot`` and ``services.prepare_restore``.
    """
    stored = get_catalog(database).find(word)
    local_store.make_folder(database)  # on a new machine there is none
    manifest = stored.manifest
    with ExitStack() as stack:
        with in_use(stored, database=database), _refusals_recorded(staged_by, database, stored.id):
            chunks = unpack_snapshot(stored, identity_file=identity_file, database=database)
            prepared = stack.enter_context(
                services.prepare_restore(
                    counted(chunks, progress),
                    staged_by=staged_by,
                    at_least=stored.database_size or 0,
                    account=account,
                    accept=accept,
                    turn=turn,
                    database=database,
                    watch=watch,
                    on_received=on_received,
                    tell=tell,
                )
            )

        def make_pending(by: str | None) -> PendingRestore:
            pending = prepared.stage(staged_by=by)
            record(STAGED, database=database, snapshot=stored.id, by=by or staged_by)
            return pending

        taken_at = stored.taken_at if manifest is None else manifest.taken_at
        yield replace(prepared, taken_at=taken_at, make_pending=make_pending)


@contextmanager
def _refusals_recorded(
    by: str, database: str | None, snapshot: str | None = None
) -> Iterator[None]:
    try:
        yield
    except (InvalidSnapshotError, SnapshotTooLargeError) as error:
        record(REFUSED, database=database, snapshot=snapshot, by=by, reason=str(error))
        raise


def _time_in(name: str, database: str | None) -> datetime | None:
    """The time in the name of a snapshot that this site gave, or a browser: ``… (1).db``."""
    prefix = re.escape(services.snapshot_prefix(database=database))
    if found := re.match(rf"{prefix}(\d{{8}}-\d{{6}})(?!\d)", name, re.ASCII):
        with suppress(ValueError):  # it is not a time
            return parse_timestamp(found[1])
    return None
