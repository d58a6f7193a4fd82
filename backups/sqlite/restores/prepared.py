"""
A checked snapshot that waits, under its temporary name, for somebody's word; then it is pending.

    <db>.incoming-<random>, checked ─▶ synced ─▶ <db>.pending-restore

stage.py has the invariants. Without that word the file goes with the block, or with its process.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backups.disk import files
from backups.exceptions import StoreFolderError
from backups.sqlite.folder.temporary import Temporary
from backups.sqlite.format.rows import inventory_of
from backups.sqlite.format.schema import fold
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.receipts import record_staged
from backups.sqlite.records.sent_snapshots import sent_at
from backups.sqlite.restores.describe import describe
from backups.sqlite.restores.pending import make_pending
from backups.sqlite.restores.receive import explain
from backups.sqlite.restores.stage import Staging
from backups.store import PendingRestore, Prepared


@contextmanager
def prepared(staging: Staging, chunks: Iterable[bytes]) -> Iterator[Prepared]:
    """Receive an upload and check it. Errors are those of ``BackupStore.prepare_restore``."""
    began = time.monotonic()
    with ExitStack() as stack:
        with _explained(staging):
            file, manifest = stack.enter_context(staging.checked(chunks, "incoming"))
        checked = _Checked(staging, file, manifest, time.monotonic() - began)
        yield Prepared(
            pending=describe(manifest, staging.site),
            taken_at=checked.taken_at,
            is_emptied=checked.is_emptied,
            count_rows=checked.count_rows,
            make_pending=checked.stage,
        )


@dataclass(frozen=True)
class _Checked:
    """The file, and what it would be pending with."""

    staging: Staging
    file: Temporary
    manifest: Manifest
    seconds: float  # how long it took so far, without the time that it waits

    @property
    def taken_at(self) -> datetime | None:
        paths, manifest = self.staging.paths, self.manifest
        if manifest.undoes is not None:
            return paths.kept_at(paths.folder / manifest.undoes)
        return sent_at(paths, sha256=manifest.snapshot_sha256, size=manifest.snapshot_size)

    def is_emptied(self, table: str) -> bool:
        """A kept copy that fails the checks is put back with its login sessions."""
        emptied = map(fold, self.staging.site.session_tables())
        return self.staging.fails is None and fold(table) in emptied

    def count_rows(self) -> Mapping[str, int]:
        """Empty if it can't be read, which only a kept copy may be."""
        try:
            return inventory_of(self.file.path).rows
        except sqlite3.Error:
            return {}

    def stage(self, staged_by: str | None) -> PendingRestore:
        began = time.monotonic()
        by = staged_by or self.manifest.staged_by
        manifest = replace(self.manifest, staged_at=datetime.now(UTC), staged_by=by)
        with _explained(self.staging):
            if not files.is_named(self.file.path, self.file.descriptor):
                raise StoreFolderError(f"{self.file.path} is gone: it can't be staged.")
            files.sync(self.file.descriptor)  # invariant 1: whole after a power cut too
            make_pending(self.staging.paths, self.file.path, manifest)  # invariant 2
        record_staged(self.staging.paths, manifest, self.seconds + time.monotonic() - began)
        return describe(manifest, self.staging.site)


@contextmanager
def _explained(staging: Staging) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error, staging.paths, staging.at_least, staging.floor) from error
