"""The store of a site whose database is SQLite in a file."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from backups.disk import files
from backups.disk.room import floor_of
from backups.exceptions import (
    BackupError,
    InvalidSnapshotError,
    SnapshotFailedError,
    StoreFolderError,
)
from backups.sqlite.checking.check import check_file
from backups.sqlite.checking.defects import Defects, find_defects
from backups.sqlite.folder.ownership import check_user, tell_reader
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import sweep
from backups.sqlite.format.connection import connect, has_content
from backups.sqlite.format.readable import has_database
from backups.sqlite.format.rows import count_rows
from backups.sqlite.kept import kept_copies
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.locking.named_locks import named_lock
from backups.sqlite.locking.presence import Presence
from backups.sqlite.locking.turns import SnapshotInTurn, UploadTurn, take_turn
from backups.sqlite.records.backup_receipts import read_backup_receipts, record_backup
from backups.sqlite.records.downloads import read_downloads, record_download
from backups.sqlite.records.receipts import last_conclusion, read_receipts
from backups.sqlite.records.state import changed_state, read_state
from backups.sqlite.restores import pending, start
from backups.sqlite.restores.apply_now import apply_pending_now
from backups.sqlite.restores.describe import describe, describe_pending
from backups.sqlite.restores.prepared import prepared
from backups.sqlite.restores.proof import prove
from backups.sqlite.restores.stage import Staging
from backups.sqlite.site import Site
from backups.sqlite.snapshots.create import SnapshotLimits, create_snapshot
from backups.sqlite.snapshots.pinned import find_pinned
from backups.store import (
    BackupStore,
    Download,
    KeptCopy,
    PendingRestore,
    Prepared,
    Proof,
    Receipt,
    RestoreOptions,
    RestoreStatus,
    Snapshot,
    Tell,
    UndoOptions,
    describe_next_start,
)

logger = logging.getLogger(__name__)

_presences: dict[Path, Presence] = {}  # one for each database, held while the process lives


class SqliteBackupStore(BackupStore):
    """
    ``BackupStore`` for one database file. All its files are in the database's own folder.

    :param connect: opens a separate connection to the live database.
    :param site: what the store must know of the site, so that nothing here imports Django.
    :param check_seconds: how long SQLite's checks of an upload may take.
    :param live_seconds: how long an apply without a restart may keep writers waiting.
    :param migrate_tries: how many starts may begin one snapshot's migrations without finishing.
    :param uploads_at_once: how many uploads and checks all processes may have under way.
    :param keep_free: how many bytes of the disk stay free for the site; None for the default.
    """

    suffix = ".db"
    media_type = "application/vnd.sqlite3"  # registered with IANA

    def __init__(
        self,
        database: Path,
        *,
        connect: Callable[[], sqlite3.Connection],
        site: Site,
        check_seconds: float,
        live_seconds: float,
        keeping: Keeping,
        migrate_tries: int,
        snapshot_limits: SnapshotLimits,
        uploads_at_once: int,
        keep_free: int | None,
    ) -> None:
        self._paths = StorePaths.of(database)
        self._connect = connect
        self._site = site
        self._check_seconds = check_seconds
        self._live_seconds = live_seconds
        self._keeping = keeping
        self._migrate_tries = migrate_tries
        self._snapshot_limits = snapshot_limits
        self._uploads_at_once = uploads_at_once
        self._keep_free = keep_free

    # Snapshot

    def create_snapshot(
        self, *, compact: bool | None = None, caller: str | None = None, to_store: bool = False
    ) -> Snapshot:
        check_user(self._paths)
        try:
            return self._create_in_turn(compact, caller, to_store)
        except (SnapshotFailedError, StoreFolderError) as error:
            tell_reader(self._paths, error)
            raise

    def resume_snapshot(
        self, snapshot_id: str, *, caller: str, first: int = 0, last: int | None = None
    ) -> Snapshot | None:
        with ExitStack() as stack:
            turn = take_turn(self._paths, at_once=self._snapshot_limits.at_once)
            stack.callback(os.close, turn)
            snapshot = find_pinned(self._paths, snapshot_id, caller=caller, first=first, last=last)
            if snapshot is None:
                return None
            stack.pop_all()
        return SnapshotInTurn(snapshot, turn)

    # Stage, discard, status

    def take_upload_turn(self) -> UploadTurn:
        check_user(self._paths)
        return UploadTurn(self._paths, at_once=self._uploads_at_once)

    def prepare_restore(
        self, chunks: Iterable[bytes], **options: Unpack[RestoreOptions]
    ) -> AbstractContextManager[Prepared]:
        check_user(self._paths)
        staging = self._staging(**options, live_defects=self._find_live_defects)
        return prepared(staging, chunks)

    def check_snapshot(self, path: Path, *, is_own: bool) -> tuple[str, ...]:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StoreFolderError(f"{path} can't be checked: {error.strerror}.") from error
        try:
            return check_file(
                descriptor,
                path,
                seconds=self._check_seconds,
                site=self._site,
                live=self._site.read_live() if is_own else None,
            )
        finally:
            os.close(descriptor)

    @contextmanager
    def prepare_undo(self, **options: Unpack[UndoOptions]) -> Iterator[Prepared]:
        check_user(self._paths)
        try:
            kept = kept_copies.kept_by_last(self._paths)
            size = kept.stat().st_size
        except OSError as error:
            raise StoreFolderError(
                f"The kept copy can't be read: {files.explain(error, self._paths.folder)}"
            ) from error
        staging = self._staging(**options, max_bytes=size, at_least=size, undoes=kept.name)
        with ExitStack() as stack:
            whole = prepared(staging, kept_copies.read(kept))
            try:
                found = stack.enter_context(whole)
            except InvalidSnapshotError as error:  # the site ran with it, whatever is wrong
                failing = replace(staging, fails=str(error))
                read_again = kept_copies.read(kept)
                found = stack.enter_context(prepared(failing, read_again))
            yield found

    def count_rows(self) -> Mapping[str, int]:
        try:
            return self._count_live() if self.is_readable() else {}
        except Exception:  # whatever the site's own set-up of a connection raises
            logger.info("the rows of the live database can't be counted", exc_info=True)
            return {}

    def free_bytes(self) -> int:
        return files.free_bytes(self._paths.folder)

    def discard_pending_restore(self, *, discarded_by: str) -> PendingRestore | None:
        check_user(self._paths)
        manifest = pending.discard(self._paths, discarded_by=discarded_by)
        return None if manifest is None else describe(manifest, self._site)

    def get_status(self) -> RestoreStatus:
        return RestoreStatus(
            pending=describe_pending(self._paths, self._site),
            last=last_conclusion(self._paths),
            present=tuple(map(str, self._presence.everybody())),
        )

    def list_receipts(self) -> list[Receipt]:
        return read_receipts(self._paths)[::-1]

    def record_download(self, download: Download) -> None:
        record_download(self._paths, download)

    def list_downloads(self) -> list[Download]:
        return read_downloads(self._paths)

    def record_backup(self, receipt: Mapping[str, Any]) -> None:
        record_backup(self._paths, receipt)

    def list_backup_receipts(self) -> list[dict[str, Any]]:
        return read_backup_receipts(self._paths)

    def list_kept_copies(self) -> list[KeptCopy]:
        return kept_copies.list_kept(self._paths, self._keeping)

    def describe_next_start(self, pending: PendingRestore) -> str:
        live = self._paths.database
        kept_as = f"{live.name}.pre-restore-<time>" if has_content(live) else None
        return describe_next_start(pending, live=live.name, kept_as=kept_as)

    def is_readable(self) -> bool:
        return has_database(self._paths.database)

    def has_content(self) -> bool:
        with suppress(OSError):
            return has_content(self._paths.database)
        return False

    def software(self) -> dict[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    # Apply while others go on

    def apply_now(self, *, applied_by: str, sha256: str | None = None) -> Receipt:
        check_user(self._paths)
        try:
            return apply_pending_now(
                self._paths,
                site=self._site,
                seconds=self._live_seconds,
                applied_by=applied_by,
                sha256=sha256,
                keeping=self._keeping,
                presence=self._presence.descriptor,
                floor=self._floor,
            )
        except OSError as error:
            raise StoreFolderError(
                f"The pending restore {self._paths.pending} could not be applied: {error.strerror}."
            ) from error

    # Start

    def apply_pending_restore(self) -> Receipt | None:
        return start.apply_if_alone(
            self._paths,
            self._presence,
            site=self._site,
            check_seconds=self._check_seconds,
            keeping=self._keeping,
            migrate_tries=self._migrate_tries,
        )

    def repair(self) -> Receipt | None:
        return start.repair_if_alone(self._paths, self._presence)

    def hold_presence(self) -> None:
        start.hold_presence(self._paths, self._presence)

    def release_presence(self) -> None:
        self._presence.leave()

    # What the archive and the schedule need

    def lock(
        self, name: str, *, wait: bool = False, outside: bool = False
    ) -> AbstractContextManager[Callable[[], bool]]:
        return named_lock(self._paths, name, wait=wait, outside=outside)

    def prove(
        self,
        chunks: Iterable[bytes],
        *,
        max_bytes: int,
        at_least: int = 0,
        watch: Callable[[], None] | None = None,
    ) -> Proof:
        check_user(self._paths)
        staging = self._staging(
            staged_by="",
            max_bytes=max_bytes,
            at_least=at_least,
            live_defects=self._find_live_defects,
            watch=watch,
        )
        return prove(staging, chunks)

    def archive_folder(self) -> Path:
        return self._paths.archive

    def media_cache(self) -> Path:
        return self._paths.media_cache

    def recall(self) -> dict[str, Any]:
        return read_state(self._paths)

    def remember(self) -> AbstractContextManager[dict[str, Any]]:
        return changed_state(self._paths)

    def watch_commits(self) -> Callable[[], bool]:
        before = self._site.data_version()
        return lambda: before is None or self._site.data_version() != before

    def sweep(self) -> list[str]:
        return [path.name for path in sweep(self._paths)]

    # Steps

    def _staging(self, *, tell: Tell | None = None, **options: Any) -> Staging:
        """``tell`` is not called: SQLite does not say how far its checks are."""
        return Staging(
            self._paths,
            floor=self._floor,
            check_seconds=self._check_seconds,
            site=self._site,
            **options,
        )

    def _create_in_turn(self, compact: bool | None, caller: str | None, to_store: bool) -> Snapshot:
        with ExitStack() as stack:
            turn = take_turn(self._paths, at_once=self._snapshot_limits.at_once)
            stack.callback(os.close, turn)
            snapshot = create_snapshot(
                self._paths,
                self._connect,
                compact=compact,
                limits=self._snapshot_limits,
                presence=self._presence.descriptor,
                caller=caller,
                to_store=to_store,
                clear=self._site.session_tables(),
                floor=self._floor,
            )
            stack.pop_all()
        return SnapshotInTurn(snapshot, turn)

    def _count_live(self) -> Mapping[str, int]:
        with (
            closing(connect(self._paths.database, mode="ro")) as reader,
            closing(self._connect()) as connection,
        ):
            return count_rows(connection, seconds=self._seconds_to_read(reader))

    def _seconds_to_read(self, reader: sqlite3.Connection) -> float:
        """In rollback mode a reader keeps writers waiting: no longer than a restore may."""
        (mode,) = reader.execute("PRAGMA journal_mode").fetchone()
        return self._check_seconds if mode == "wal" else self._live_seconds

    def _find_live_defects(self) -> Defects:
        """
        Empty if it can't be read. The check keeps writers of a database in rollback mode waiting,
        so there it takes no longer than a restore may.
        """
        try:
            if not self.is_readable():
                return {}
            # A reader: another connection, if the last to close, would checkpoint and unlink -wal.
            with closing(connect(self._paths.database, mode="ro")) as reader:
                return find_defects(
                    self._connect,
                    functions=self._site.functions(),
                    seconds=self._seconds_to_read(reader),
                )
        except (BackupError, OSError, sqlite3.Error):
            return {}

    @property
    def _floor(self) -> int:
        return floor_of(self._paths.folder, self._keep_free)

    @property
    def _presence(self) -> Presence:
        database = self._paths.database
        if database not in _presences:
            owner = database if files.exists(database) else self._paths.folder
            _presences[database] = Presence(self._paths.lock, owner_of=owner)
        return _presences[database]
