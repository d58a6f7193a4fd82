"""The store of a site whose database is on a PostgreSQL server."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import psycopg

from backups.disk.room import floor_of
from backups.exceptions import (
    BackupError,
    DatabaseServerError,
    InvalidSnapshotError,
    NoKeptCopyError,
    NoPendingRestoreError,
    RestoreBlockedError,
    RestoreRefusedError,
    TooManySnapshotsError,
    TooManyUploadsError,
)
from backups.postgres import contents, databases, kept, pending, records, state
from backups.postgres.applying import Applying
from backups.postgres.checking import check_file
from backups.postgres.control import Control
from backups.postgres.kept import Keeping
from backups.postgres.locks import SnapshotInTurn, Turn, may_have_been_lost, named_lock
from backups.postgres.manifest import unknown_manifest
from backups.postgres.migrating import bring_to_this_release
from backups.postgres.names import Names
from backups.postgres.prepared import describe, prepared, proof
from backups.postgres.presence import Presence, presence_at
from backups.postgres.programs import (
    Programs,
    check_can_restore,
    find_programs,
    find_programs_for,
)
from backups.postgres.refusals import explained
from backups.postgres.rights import check_role
from backups.postgres.scratch import Scratch
from backups.postgres.server import Server
from backups.postgres.site import Site
from backups.postgres.snapshots import Dumping
from backups.postgres.staging import Incoming, Staging
from backups.postgres.starting import apply_if_alone
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
    UndoOptions,
    describe_next_start,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the settings allow. Times are in seconds, sizes in bytes."""

    check_seconds: float
    migrate_tries: int
    snapshots_at_once: int
    uploads_at_once: int
    keep_free: int | None  # of this machine's disk; None for the default


class PostgresBackupStore(BackupStore):
    """
    ``BackupStore`` for one database of a server. What it keeps is on that server, so any number of
    web machines can share it; only what exists for a moment is on this machine's disk.

    :param folder: where that is.
    :param archive: where stored snapshots go if the site names no storage; None if it must.
    :param programs: the folder of pg_dump and pg_restore; None to look for them.
    """

    suffix = ".dump"
    media_type = "application/octet-stream"

    def __init__(
        self,
        server: Server,
        database: str,
        *,
        site: Site,
        folder: Path,
        archive: Path | None,
        programs: Path | None,
        keeping: Keeping,
        limits: Limits,
    ) -> None:
        self._server = server
        self._names = Names(database)
        self._control = Control(server, self._names)
        self._site = site
        self._scratch = Scratch(folder)
        self._archive = archive
        self._chosen_programs = programs
        self._keeping = keeping
        self._limits = limits

    # Snapshot

    def create_snapshot(
        self, *, compact: bool | None = None, caller: str | None = None, to_store: bool = False
    ) -> Snapshot:
        programs = self._programs()
        turn = Turn(
            self._control,
            "snapshot",
            at_once=self._limits.snapshots_at_once,
            refused=lambda: TooManySnapshotsError(
                f"{self._limits.snapshots_at_once} snapshots are under way, and no more may be."
            ),
        )
        try:
            dumping = Dumping(
                self._server,
                self._names.live,
                programs,
                self._scratch,
                floor=self._floor,
                without=self._site.session_tables(),
            )
            return SnapshotInTurn(dumping.take(with_inventory=to_store), turn)
        except BaseException:
            turn.close()
            raise

    def resume_snapshot(
        self, snapshot_id: str, *, caller: str, first: int = 0, last: int | None = None
    ) -> Snapshot | None:
        return None  # a dump has no name, so that nothing of it can stay

    # Stage, discard, status

    def take_upload_turn(self) -> Turn:
        return Turn(
            self._control,
            "upload",
            at_once=self._limits.uploads_at_once,
            refused=lambda: TooManyUploadsError(
                f"{self._limits.uploads_at_once} uploads are under way, and no more may be."
            ),
        )

    @contextmanager
    def prepare_restore(
        self, chunks: Iterable[bytes], **options: Unpack[RestoreOptions]
    ) -> Iterator[Prepared]:
        with self._staging(**options).of_upload(chunks) as incoming:
            yield self._prepared(incoming)

    def check_snapshot(self, path: Path, *, is_own: bool) -> tuple[str, ...]:
        return check_file(
            path,
            programs=find_programs(self._chosen_programs),
            seconds=self._limits.check_seconds,
            site=self._site,
            is_own=is_own,
        )

    @contextmanager
    def prepare_undo(self, **options: Unpack[UndoOptions]) -> Iterator[Prepared]:
        with self._control.session() as connection:
            name = kept.kept_by_last(self._control, connection)
            if name is None:
                raise NoKeptCopyError("There is no kept database of the last restore.")
        with self._staging(**options).of_kept(name) as incoming:
            yield self._prepared(incoming)

    def count_rows(self) -> Mapping[str, int]:
        try:
            with self._server.session(
                self._names.live, seconds=self._limits.check_seconds
            ) as connection:
                return contents.count_rows(connection)
        except BackupError as error:
            logger.info("the rows of the live database can't be counted: %s", error)
            return {}

    def free_bytes(self) -> int | None:
        return None  # the server does not tell

    def discard_pending_restore(self, *, discarded_by: str) -> PendingRestore | None:
        return pending.discard(self._control, discarded_by=discarded_by).describe()

    def get_status(self) -> RestoreStatus:
        with self._control.if_there() as connection:
            if connection is None:
                return RestoreStatus(pending=None, last=None, present=())
            manifest = pending.find_pending(connection)
            if manifest is None and databases.is_ours(connection, self._names.pending):
                size = databases.size_of(connection, self._names.pending)
                manifest = unknown_manifest(size)
            receipts = records.read_receipts(connection)
        return RestoreStatus(
            pending=None if manifest is None else describe(manifest, self._site),
            last=records.last_conclusion(receipts),
            present=tuple(self._presence.everybody()),
        )

    def list_receipts(self) -> list[Receipt]:
        return records.list_receipts(self._control)

    def record_download(self, download: Download) -> None:
        records.record_download(self._control, download)

    def list_downloads(self) -> list[Download]:
        return records.list_downloads(self._control)

    def record_backup(self, receipt: Mapping[str, Any]) -> None:
        records.record_backup(self._control, receipt)

    def list_backup_receipts(self) -> list[dict[str, Any]]:
        return records.list_backup_receipts(self._control)

    def list_kept_copies(self) -> list[KeptCopy]:
        with self._control.if_there() as connection:
            if connection is None:
                return []
            return kept.describe_kept(self._control, connection, self._keeping)

    def describe_next_start(self, pending: PendingRestore) -> str:
        live = self._names.live
        is_there = self._server.has(live, live=live)
        kept_as = f"{self._names.stem}_pre_restore_<time>" if is_there else None
        return describe_next_start(pending, live=live, kept_as=kept_as)

    def is_readable(self) -> bool:
        live = self._names.live
        try:
            with explained(f"the database {live}"):
                if not self._server.has(live, live=live):
                    return False
                self._server.connect(live).close()
        except BackupError as error:
            raise RestoreBlockedError(str(error)) from error
        return True

    def has_content(self) -> bool:
        with suppress(BackupError), self._server.session(self._names.live, seconds=10) as session:
            return bool(contents.list_tables(session))
        return False

    def check_ready(self) -> None:
        programs = self._programs()
        with self._control.session(name="backups: check") as connection:
            check_role(connection, self._names.live)
            check_can_restore(programs, connection.info.server_version // 10_000)

    def software(self) -> dict[str, str]:
        with self._server.session(self._names.live) as connection:
            (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
        return {"postgresql": str(version).partition(" ")[0], "psycopg": psycopg.__version__}

    # Apply while others go on

    def apply_now(self, *, applied_by: str, sha256: str | None = None) -> Receipt:
        with self._control.session() as connection:
            manifest = pending.find_pending(connection)
        if manifest is None:
            raise NoPendingRestoreError("Nothing is pending.")
        if sha256 is not None and manifest.sha256 != sha256:
            raise RestoreBlockedError("Another snapshot is pending now. That stays pending.")
        with named_lock(self._control, "apply", wait=True):
            try:
                manifest = bring_to_this_release(self._control, self._site, manifest)
            except (RestoreRefusedError, InvalidSnapshotError) as error:
                pending.set_aside(self._control, manifest, str(error), by=applied_by)
                raise RestoreRefusedError(str(error)) from error
            self._site.disconnect()
            return Applying(self._control, self._keeping).now(manifest, by=applied_by)

    # Start

    def apply_pending_restore(self) -> Receipt | None:
        return apply_if_alone(
            self._control,
            self._presence,
            keeping=self._keeping,
            site=self._site,
            tries=self._limits.migrate_tries,
        )

    def repair(self) -> Receipt | None:
        self.hold_presence()
        return None  # the server has done all that a crash could interrupt, or nothing of it

    def hold_presence(self) -> None:
        self._presence.join()

    def regain_presence(self) -> None:
        self._presence.regain()

    def release_presence(self) -> None:
        self._presence.leave()

    # What the archive and the schedule need

    def lock(
        self, name: str, *, wait: bool = False, outside: bool = False
    ) -> AbstractContextManager[Callable[[], bool]]:
        return named_lock(self._control, name, wait=wait)

    def may_have_lost_locks(self) -> bool:
        return may_have_been_lost(self._control)

    def prove(
        self,
        chunks: Iterable[bytes],
        *,
        max_bytes: int,
        at_least: int = 0,
        watch: Callable[[], None] | None = None,
    ) -> Proof:
        staging = self._staging(
            staged_by="", max_bytes=max_bytes, at_least=at_least, watch=watch, is_counted=True
        )
        with staging.of_upload(chunks) as incoming:
            return proof(incoming, self._control, self._site, seconds=self._limits.check_seconds)

    def archive_folder(self) -> Path:
        if self._archive is None:
            raise DatabaseServerError(
                "There is no place for stored snapshots.",
                hint='Set STORAGES["backups"], or BACKUPS_FOLDER.',
            )
        return self._archive

    def media_cache(self) -> Path:
        return self._scratch.folder / f"{self._names.stem}.media-cache"

    def recall(self) -> dict[str, Any]:
        return state.recall(self._control)

    def remember(self) -> AbstractContextManager[dict[str, Any]]:
        return state.remembering(self._control)

    def watch_commits(self) -> Callable[[], bool]:
        return lambda: True  # the server counts its own work too: nobody can tell

    def sweep(self) -> list[str]:
        return [*self._scratch.sweep(), *databases.sweep(self._control)]

    # Steps

    def _programs(self) -> Programs:
        with self._control.session() as connection:
            server = connection.info.server_version // 10_000
        return find_programs_for(self._chosen_programs, server)

    def _staging(self, **options: Any) -> Staging:
        return Staging(
            self._control,
            self._programs(),
            self._scratch,
            self._site,
            check_seconds=self._limits.check_seconds,
            floor=self._floor,
            **options,
        )

    def _prepared(self, incoming: Incoming) -> Prepared:
        seconds = self._limits.check_seconds
        return prepared(incoming, self._control, self._site, seconds=seconds)

    @property
    def _floor(self) -> int:
        return floor_of(self._scratch.folder, self._limits.keep_free)

    @property
    def _presence(self) -> Presence:
        return presence_at(self._server, self._control)
