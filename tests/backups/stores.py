"""A store without Django around one database, and what a test does to it and reads of it."""

import json
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.sqlite.folder.paths import TEMPORARY, StorePaths
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.snapshots.create import SnapshotLimits
from backups.sqlite.store import SqliteBackupStore
from backups.store import BackupStore, PendingRestore, Receipt
from tests.backups import builders
from tests.backups.stand_ins import FakeSite

MAX_BYTES = 64 * 1024**2  # far above every database and dump of these tests

LIMITS = SnapshotLimits(
    compact_up_to=256 * 1024**2,
    at_once=4,
    spool_seconds=10.0,
    stall_seconds=60.0,
    resume_seconds=0.0,
)


class Processes(ABC):
    """What processes do with a store, whichever kind it is."""

    @property
    @abstractmethod
    def real(self) -> BackupStore:
        """The store itself."""

    def stage_chunks(
        self,
        content: Iterable[bytes],
        *,
        staged_by: str = "tester",
        max_bytes: int = MAX_BYTES,
        accept: Collection[str] = (),
    ) -> PendingRestore:
        """Stage what comes."""
        return self.real.stage_restore(
            content, staged_by=staged_by, max_bytes=max_bytes, accept=accept
        )

    def start(self) -> Receipt | None:
        """What a process does before its first connection; then that process ends."""
        self.real.sweep()
        try:
            return self.real.apply_pending_restore()
        finally:
            self.real.release_presence()

    def apply_now(self) -> Receipt:
        """What a process of the site does, which holds presence."""
        self.real.hold_presence()
        try:
            return self.real.apply_now(applied_by="alice")
        finally:
            self.real.release_presence()


@dataclass
class Store(Processes):
    """The store around ``database``, which need not be there."""

    database: Path
    site: FakeSite = field(default_factory=FakeSite)
    check_seconds: float = 60.0
    live_seconds: float = 10.0
    kept_copies: int = 3
    kept_days: int = 0  # by their number alone
    migrate_tries: int = 3
    snapshot_limits: SnapshotLimits = LIMITS
    uploads_at_once: int = 2
    keep_free: int | None = 0

    @property
    def paths(self) -> StorePaths:
        """The names around the database."""
        return StorePaths.of(self.database)

    @property
    def real(self) -> SqliteBackupStore:
        """The store itself."""
        return SqliteBackupStore(
            self.database,
            connect=lambda: sqlite3.connect(self.database, isolation_level=None),
            site=self.site,
            check_seconds=self.check_seconds,
            live_seconds=self.live_seconds,
            keeping=Keeping(copies=self.kept_copies, days=self.kept_days),
            migrate_tries=self.migrate_tries,
            snapshot_limits=self.snapshot_limits,
            uploads_at_once=self.uploads_at_once,
            keep_free=self.keep_free,
        )

    # What processes do

    def stage(
        self, snapshot: Path, *, staged_by: str = "tester", accept: Collection[str] = ()
    ) -> PendingRestore:
        """Stage a file, in chunks as an upload has them."""
        content = chunks(snapshot.read_bytes())
        return self.stage_chunks(content, staged_by=staged_by, accept=accept)

    def stage_unchecked(self, snapshot: Path) -> None:
        """Make a file pending as staging does, without its checks."""
        manifest = builders.manifest(snapshot, files.sha256(snapshot))
        manifest.write(self.paths)
        os.replace(snapshot, self.paths.pending)

    def snapshot(self, *, compact: bool | None = None) -> bytes:
        """Take a snapshot and read it all."""
        with self.real.create_snapshot(compact=compact) as taken:
            return b"".join(taken)

    # What is in the folder

    def items(self) -> list[str]:
        """The items of the live database, which must be whole."""
        return builders.names(self.database)

    def folder(self) -> dict[str, bytes]:
        """Every file with its bytes, but for the lock file, which may come at any time."""
        everything = builders.folder(self.paths.folder)
        everything.pop(self.paths.lock.name, None)
        return everything

    def listing(self) -> set[str]:
        """The names in the folder, but for the lock file's."""
        return {path.name for path in self.paths.folder.iterdir()} - {self.paths.lock.name}

    def temporaries(self) -> list[str]:
        """What only a process at work may leave; found without the code's own glob."""
        prefixes = tuple(f"{self.paths.database.name}.{kind}-" for kind in TEMPORARY)
        return sorted(name for name in self.listing() if name.startswith(prefixes))

    def kept(self) -> list[Path]:
        """The kept copies of old databases, oldest first."""
        prefix = f"{self.paths.database.name}.pre-restore-"
        return sorted(path for path in self.paths.folder.iterdir() if path.name.startswith(prefix))

    def refused(self) -> list[Path]:
        """What was set aside."""
        prefix = f"{self.paths.database.name}.refused-restore-"
        return sorted(path for path in self.paths.folder.iterdir() if path.name.startswith(prefix))

    def receipts(self) -> list[dict[str, Any]]:
        """What happened to restores, oldest first."""
        if not self.paths.receipts.exists():
            return []
        return [json.loads(line) for line in self.paths.receipts.read_text().splitlines()]

    def outcomes(self) -> list[str]:
        """What happened to restores, in a word each, oldest first."""
        return [receipt["outcome"] for receipt in self.receipts()]


def new_store(folder: Path) -> Store:
    """A store in a folder of its own, in which nothing is yet."""
    (folder / "data").mkdir()
    return Store(folder / "data" / "tasks.db")


def new_snapshot(folder: Path, *names: str) -> Path:
    """A good snapshot outside of the store's folder."""
    return builders.healthy(folder / "snapshot.db", *names or ("new",))


def chunks(content: bytes, size: int = 4096) -> list[bytes]:
    """Cut into pieces."""
    return [content[start : start + size] for start in range(0, len(content), size)]


def raw_sets(kept: list[Path]) -> list[dict[str, bytes]]:
    """The kept copies that are folders, with their files."""
    return [builders.folder(path) for path in kept if path.is_dir()]


def insert(database: Path, *names: str) -> None:
    """Commit these items to a database that is there."""
    with closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as connection:
        builders.add(connection, *names)
