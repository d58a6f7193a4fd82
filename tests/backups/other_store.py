"""A store that is neither SQLite's nor PostgreSQL's: what is above the port must take it too."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from backups.exceptions import (
    BusyError,
    DatabaseServerError,
    NoKeptCopyError,
    NoPendingRestoreError,
    OtherKindError,
)
from backups.store import (
    BackupStore,
    Download,
    Inventory,
    KeptCopy,
    PendingRestore,
    Prepared,
    Proof,
    Receipt,
    RestoreOptions,
    RestoreStatus,
    Snapshot,
    Turn,
    UndoOptions,
)

HEAD = b"PGDMP"  # so that a client takes it for what it knows
CHUNK_BYTES = 1000
STEPS = (("copying rows", 0, 4), ("copying rows", 3, 4))  # what it tells of a check


class Dump(Snapshot):
    """All that is in the store."""

    method = "dump"

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size, self.taken_at = len(content), datetime.now(UTC)
        self.inventory = Inventory(("tasks.0001_initial",), {"tasks": content.count(b"\n")})

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, self.size, CHUNK_BYTES):
            yield self._content[first : first + CHUNK_BYTES]

    def close(self) -> None:
        """It holds nothing."""


class OtherStore(BackupStore):
    """
    Its content is a file with lines, each a row, and nothing of it has the name of the database.

    :param folder: where that is; its state is beside it.
    """

    suffix = ".dump"
    media_type = "application/octet-stream"

    def __init__(self, folder: Path, *rows: str) -> None:
        """Makes the store, with these rows."""
        folder.mkdir()
        self.folder = folder
        self.live, self.pending = folder / "live", folder / "pending"
        self.kept = folder / "kept"
        self.live.write_bytes(dump_of(*rows))
        self.is_reachable = True
        self.present = 0  # how often this process has said that it is
        self._locks: set[str] = set()
        self._receipts: list[Receipt] = []
        self._downloads: list[Download] = []
        self._backups: list[dict[str, Any]] = []

    def create_snapshot(
        self, *, compact: bool | None = None, caller: str | None = None, to_store: bool = False
    ) -> Snapshot:
        self.reach()
        return Dump(self.live.read_bytes())

    def resume_snapshot(
        self, snapshot_id: str, *, caller: str, first: int = 0, last: int | None = None
    ) -> Snapshot | None:
        return None

    def take_upload_turn(self) -> Turn:
        self.reach()
        return nullcontext()  # type: ignore[return-value]

    @contextmanager
    def prepare_restore(
        self, chunks: Iterable[bytes], **options: Unpack[RestoreOptions]
    ) -> Iterator[Prepared]:
        content = b"".join(chunks)
        if "on_received" in options:
            options["on_received"]()
        for step in STEPS if "tell" in options else ():
            options["tell"](*step)
        check(content)
        yield self._prepared(content, options["staged_by"])

    def check_snapshot(self, path: Path, *, is_own: bool) -> tuple[str, ...]:
        check(path.read_bytes())
        return ()

    @contextmanager
    def prepare_undo(self, **options: Unpack[UndoOptions]) -> Iterator[Prepared]:
        if not self.kept.exists():
            raise NoKeptCopyError("Nothing is kept.")
        if "on_received" in options:
            options["on_received"]()
        yield self._prepared(self.kept.read_bytes(), options["staged_by"], undoes="kept")

    def count_rows(self) -> Mapping[str, int]:
        return {"tasks": self.live.read_bytes().count(b"\n")}

    def free_bytes(self) -> int | None:
        return None

    def discard_pending_restore(self, *, discarded_by: str) -> PendingRestore | None:
        pending = self._pending()
        if pending is None:
            raise NoPendingRestoreError("Nothing is pending.")
        self.pending.unlink()
        return pending

    def get_status(self) -> RestoreStatus:
        self.reach()
        return RestoreStatus(self._pending(), next(iter(self._receipts), None), ("this one",))

    def list_receipts(self) -> list[Receipt]:
        self.reach()
        return self._receipts

    def record_download(self, download: Download) -> None:
        self._downloads.insert(0, download)

    def list_downloads(self) -> list[Download]:
        return self._downloads

    def list_kept_copies(self) -> list[KeptCopy]:
        if not self.kept.exists():
            return []
        return [KeptCopy("kept", self.kept.stat().st_size, datetime.now(UTC), is_database=True)]

    def describe_next_start(self, pending: PendingRestore) -> str:
        return "The next start puts the dump in place."

    def is_readable(self) -> bool:
        return self.live.exists()

    def has_content(self) -> bool:
        return self.is_reachable and self.live.exists()

    def software(self) -> dict[str, str]:
        return {"postgresql": "18.0"}

    def apply_pending_restore(self) -> Receipt | None:
        self.reach()
        return self._apply("") if self.pending.exists() else None

    def repair(self) -> Receipt | None:
        self.hold_presence()
        return None

    def apply_now(self, *, applied_by: str, sha256: str | None = None) -> Receipt:
        return self._apply(applied_by)

    def hold_presence(self) -> None:
        self.reach()
        self.present += 1

    def release_presence(self) -> None:
        self.present = 0

    @contextmanager
    def lock(
        self, name: str, *, wait: bool = False, outside: bool = False
    ) -> Iterator[Callable[[], bool]]:
        self.reach()
        if name in self._locks:
            raise BusyError(f"{name} is locked.")
        self._locks.add(name)
        try:
            yield lambda: True
        finally:
            self._locks.discard(name)

    def prove(
        self,
        chunks: Iterable[bytes],
        *,
        max_bytes: int,
        at_least: int = 0,
        watch: Callable[[], None] | None = None,
    ) -> Proof:
        content = b"".join(chunks)
        check(content)
        found = Dump(content).inventory
        assert found is not None
        return Proof(came=found, restored=found, migrations=(), emptied=())

    def archive_folder(self) -> Path:
        return self.folder / "stored"

    def media_cache(self) -> Path:
        return self.folder / "media"

    def recall(self) -> dict[str, Any]:
        self.reach()
        state = self.folder / "state"
        return dict(json.loads(state.read_text())) if state.exists() else {}

    def remember(self) -> AbstractContextManager[dict[str, Any]]:
        return self._remembering()

    @contextmanager
    def _remembering(self) -> Iterator[dict[str, Any]]:
        state = self.recall()
        yield state
        (self.folder / "state").write_text(json.dumps(state))

    def record_backup(self, receipt: Mapping[str, Any]) -> None:
        self._backups.insert(0, dict(receipt))

    def list_backup_receipts(self) -> list[dict[str, Any]]:
        return self._backups

    def watch_commits(self) -> Callable[[], bool]:
        return lambda: True

    def sweep(self) -> list[str]:
        self.reach()
        return []

    def reach(self) -> None:
        """:raises DatabaseServerError: the test wants it."""
        if not self.is_reachable:
            raise DatabaseServerError("The server db.example.org can't be reached.")

    def _prepared(self, content: bytes, by: str, undoes: str | None = None) -> Prepared:
        def make_pending(staged_by: str | None) -> PendingRestore:
            self.pending.write_bytes(content)
            made = _describe(content, staged_by or by, undoes)
            facts = asdict(made) | {"staged_at": made.staged_at.isoformat()}
            (self.folder / "manifest").write_text(json.dumps(facts))
            return made

        return Prepared(
            pending=_describe(content, by, undoes),
            taken_at=None,
            is_emptied=lambda _: False,
            count_rows=lambda: {"tasks": content.count(b"\n")},
            make_pending=make_pending,
        )

    def _pending(self) -> PendingRestore | None:
        if not self.pending.exists():
            return None
        facts = json.loads((self.folder / "manifest").read_text())
        return _describe(self.pending.read_bytes(), facts["staged_by"], facts["undoes"])

    def _apply(self, by: str) -> Receipt:
        pending = self._pending()
        if pending is None:
            raise NoPendingRestoreError("Nothing is pending.")
        self.live.replace(self.kept)
        self.pending.replace(self.live)
        receipt = Receipt(
            id=f"receipt-{len(self._receipts)}",
            at=datetime.now(UTC),
            outcome="applied",
            reason="",
            size=pending.size,
            sha256=pending.sha256,
            staged_at=pending.staged_at,
            staged_by=pending.staged_by,
            migrations=(),
            kept="kept",
            seconds=0.1,
            by=by or None,
        )
        self._receipts.insert(0, receipt)
        return receipt


def dump_of(*rows: str) -> bytes:
    """What a snapshot with these rows is."""
    return HEAD + b"".join(f"{row}\n".encode() for row in rows)


def check(content: bytes) -> None:
    """:raises OtherKindError: it is no dump."""
    if not content.startswith(HEAD):
        raise OtherKindError("This is a SQLite database. This site's database is another.")


def _describe(content: bytes, by: str, undoes: str | None) -> PendingRestore:
    digest = hashlib.sha256(content).hexdigest()
    return PendingRestore(len(content), digest, datetime.now(UTC), by, (), undoes=undoes)
