"""
The port: what services need of a store that can be copied and put back whole.

Bytes go out and in, in chunks. No SQL and no file format is visible here: what is SQLite's is
behind this port, in ``backups/sqlite/``, and what is PostgreSQL's in ``backups/postgres/``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Required, Self, TypedDict, Unpack

# Called during a long check: what it does now, how much of that is done, and of how much, if known.
Tell = Callable[[str, int, int | None], None]

# What a restore refuses unless it is accepted explicitly.
DEFECTS = "defects"  # what breaks a rule of the schema, in rows that SQLite can read
FOREIGN = "foreign"  # a database without any of the project's own apps
ACCEPTABLE = (DEFECTS, FOREIGN)

MOST_NAMED = 5  # kinds of defects; even thousands of defects are usually of a few kinds


@dataclass(frozen=True)
class Inventory:
    """What a snapshot has, as it was counted when it was taken."""

    migrations: tuple[str, ...]  # ``app.name`` of each that was applied
    rows: Mapping[str, int]  # the number of rows of each table by its name


class Snapshot(ABC):
    """
    A consistent copy of the store, whose length is known before its first byte.

    Iterating gives its bytes in order, once. It raises if the rest can't be read: the bytes until
    then are not a snapshot. Close it, or use it in ``with``, to release what it holds, even if it
    was not read.
    """

    # How it was taken: "compact" (rewritten without gaps), "pages" (the database's own pages),
    # "dump" (SQL that makes the database again) or "stored" (a stored file, packed as it is).
    method: str
    size: int  # bytes
    taken_at: datetime  # UTC
    # The kinds of defects that a short look has found, with their counts; None if nobody looked.
    defects: Mapping[str, int] | None = None
    id: str | None = None  # ``resume_snapshot`` takes it, for some minutes
    sha256: str | None = None  # of all its bytes, once that is known
    inventory: Inventory | None = None  # once all its bytes have been read, if it was asked for
    first: int = 0  # the byte that iterating begins with
    last: int | None = None  # the byte that it ends with; None for the last one

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """In chunks of bounded size. :raises SnapshotFailedError: the rest can't be read."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds: disk space, locks. May be called more than once."""

    def abandon(self) -> None:
        """
        Release what an unclosed snapshot holds when Python garbage-collects it. That can happen at
        any point of any thread, so this starts no thread and takes no shared lock.
        """
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def describe_defects(defects: Mapping[str, int]) -> str:
    """``NULL value in tasks.name (3), rows missing from index by_name (1)``, the first few."""
    words = [f"{place} ({count:,})" for place, count in list(defects.items())[:MOST_NAMED]]
    more = len(defects) - MOST_NAMED
    return ", ".join(words) + (f" and {more} more kinds" if more > 0 else "")


class PassedOn(Snapshot):
    """A wrapper of another snapshot that does something as it is read or closed."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Takes over the snapshot, with its attributes."""
        self._snapshot = snapshot
        self.method, self.size = snapshot.method, snapshot.size
        self.taken_at, self.defects = snapshot.taken_at, snapshot.defects
        self.id = snapshot.id
        self.first, self.last = snapshot.first, snapshot.last

    @property
    def sha256(self) -> str | None:  # type: ignore[override]
        """The other snapshot's, which may be known only when all of it has been read."""
        return self._snapshot.sha256

    @property
    def inventory(self) -> Inventory | None:  # type: ignore[override]
        """The other snapshot's, known only when all of it has been read."""
        return self._snapshot.inventory

    def abandon(self) -> None:
        self._snapshot.abandon()


class Turn(Protocol):
    """A turn to upload or check, held until its ``with`` block ends."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> Any: ...


@dataclass(frozen=True)
class PendingRestore:
    """A snapshot that passed every check and waits for the next start."""

    size: int  # bytes, as it was uploaded
    sha256: str  # 64 hex digits, of the bytes as they were uploaded; empty if there were none
    staged_at: datetime  # UTC
    staged_by: str  # the key's or the user's name
    migrations: tuple[str, ...]  # ``app.name`` of each that the next start will run
    warnings: tuple[str, ...] = ()  # sentences for the person who staged it
    undoes: str | None = None  # the name of the kept copy, if this undoes a restore


@dataclass(frozen=True)
class Prepared:
    """A snapshot that passed every check. It waits, for the length of a block, to be staged."""

    pending: PendingRestore  # what it would be
    taken_at: datetime | None  # UTC, as far as the store knows
    is_emptied: Callable[[str], bool]  # whether a restore empties this table: of login sessions
    count_rows: Callable[[], Mapping[str, int]]
    make_pending: Callable[[str | None], PendingRestore]

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The number of rows of each table by its name, as the next start would find them."""
        return self.count_rows()

    def stage(self, *, staged_by: str | None = None) -> PendingRestore:
        """
        Keep it for the next start, in place of what is pending then. Call it once.

        :param staged_by: who decided it; None for whoever has prepared it.
        :raises BackupError: the system refuses; what was pending still is.
        """
        return self.make_pending(staged_by)


@dataclass(frozen=True)
class Proof:
    """
    What became of a snapshot that was tried. No row of the tables of login sessions counts: a
    restore empties them.
    """

    came: Inventory  # as it came
    restored: Inventory  # as the next start would have left it
    migrations: tuple[str, ...]  # ``app.name`` of each that this took
    emptied: tuple[str, ...]  # the tables that a restore empties
    warnings: tuple[str, ...] = ()  # sentences, as of a restore


@dataclass(frozen=True)
class Receipt:
    """One thing that happened to a restore."""

    id: str
    at: datetime  # UTC
    outcome: str  # "staged", "discarded", "applied", "refused" or "blocked"
    reason: str  # one sentence; empty unless something was wrong
    size: int | None  # bytes, as it was uploaded; None if nothing is known of the file
    sha256: str | None
    staged_at: datetime | None  # UTC
    staged_by: str | None
    migrations: tuple[str, ...]  # ``app.name`` of each that was run
    kept: str | None  # the file name of the old database, or of the one set aside
    seconds: float  # how long it took
    by: str | None = None  # the key or the user; None for a process that was starting
    undoes: str | None = None  # the name of the kept copy, if this undid a restore
    removed: tuple[str, ...] = ()  # the older kept copies that the new one displaced


@dataclass(frozen=True)
class KeptCopy:
    """The store that was live before a restore, under another name beside the database."""

    name: str
    size: int  # bytes
    kept_at: datetime  # UTC
    is_database: bool  # False: SQLite could not read it, so it is a folder of raw copies
    stays_until: datetime | None = None  # UTC; no restore removes it earlier; None: no restore does


@dataclass(frozen=True)
class Download:
    """A snapshot that somebody has taken, or a part of it."""

    id: str
    at: datetime  # UTC, when it began
    outcome: str  # "begun", "whole" or "broken off"
    by: str | None  # the key or the user; None for this process
    address: str | None  # where the request came from; None for a command
    method: str  # "compact", "pages", "dump", or "stored": a stored file
    size: int  # bytes, of the whole snapshot
    first: int = 0  # the byte that it began with
    sent: int | None = None  # bytes that were handed out; None while it is under way
    sha256: str | None = None  # of the whole snapshot, where it is known
    seconds: float | None = None  # how long it took


@dataclass(frozen=True)
class RestoreStatus:
    """What is pending, how the last restore ended, and which processes it would wait for."""

    pending: PendingRestore | None
    last: Receipt | None  # applied, refused or blocked
    present: tuple[str, ...]  # processes that have the store open, this one first


def describe_next_start(pending: PendingRestore, *, live: str, kept_as: str | None) -> str:
    """
    Say in a sentence what the next start will do with a pending restore.

    :param live: the name of the live database.
    :param kept_as: the name that it will be kept under; None if there is nothing to keep.
    """
    number = len(pending.migrations)
    steps = [f"runs {number} migration{'s' * (number > 1)} on the snapshot"] if number else []
    if kept_as is not None:
        steps.append(f"keeps the current database as {kept_as}")
    steps.append(f"puts the snapshot in place as {live}")
    return f"The next start {', '.join(steps[:-1])}{' and ' * (len(steps) > 1)}{steps[-1]}."


class UndoOptions(TypedDict, total=False):
    """What ``prepare_undo`` takes, by name."""

    staged_by: Required[str]
    watch: Callable[[], None] | None  # called now and then; an error that it raises ends the check
    on_received: Callable[[], None]  # called once all bytes have come, before the check
    tell: Tell  # called now and then, by a store that knows how far its check is


class RestoreOptions(UndoOptions, total=False):
    """What ``prepare_restore`` takes besides."""

    max_bytes: Required[int]  # the most that is accepted; the rest is left unread
    at_least: int  # how many bytes were announced
    account: str | None  # who stages: a warning says if the snapshot lacks this account
    accept: Collection[str]  # problems to accept, of those in ACCEPTABLE


SUFFIXES = (".db", ".dump")  # of every store: an archive may have snapshots of more than one


class BackupStore(ABC):
    """
    A store that can be copied while it is used, and replaced when nobody uses it.

    A method promises what the service of the same name does (``services.py`` has parameters,
    errors, and what holds on failure); here stands what it promises besides.

        NOTHING ──Prepared.stage──────────▶ PENDING
        PENDING ──Prepared.stage──────────▶ PENDING   (the newer one replaces it)
        PENDING ──discard_pending_restore─▶ NOTHING
        PENDING ──apply_pending_restore───▶ NOTHING   (applied; the old store is kept)
        PENDING ──apply_pending_restore───▶ NOTHING   (refused; the snapshot is set aside)
        PENDING ──apply_pending_restore───▶ PENDING   (blocked; the next start tries again)
        PENDING ──apply_now───────────────▶ NOTHING   (applied while the site runs)
    """

    suffix: ClassVar[str]  # what the name of a snapshot ends with: ``.db``
    media_type: ClassVar[str]  # what a snapshot is sent as (RFC 6838)

    @abstractmethod
    def create_snapshot(
        self, *, compact: bool | None = None, caller: str | None = None, to_store: bool = False
    ) -> Snapshot:
        """
        Copy the store as it is between two commits, while others keep writing.

        :param caller: who may continue it later by its ``id``, if it gets one.
        :param to_store: count what is in it (``inventory``), and write nothing to the disk for the
            sake of a slow reader, until the store would take much room from the site itself.
        """

    @abstractmethod
    def resume_snapshot(
        self, snapshot_id: str, *, caller: str, first: int = 0, last: int | None = None
    ) -> Snapshot | None:
        """The bytes from ``first`` to ``last`` of a snapshot that ``caller`` took before."""

    @abstractmethod
    def take_upload_turn(self) -> Turn:
        """
        Take a turn to upload or check. Never waits. Hold one to call ``check_snapshot`` or
        ``prove``, and to enter ``prepare_restore`` or ``prepare_undo``.
        """

    @abstractmethod
    def prepare_restore(
        self, chunks: Iterable[bytes], **options: Unpack[RestoreOptions]
    ) -> AbstractContextManager[Prepared]:
        """Check a snapshot. Inside the block it can be staged; otherwise nothing of it stays."""

    @abstractmethod
    def check_snapshot(self, path: Path, *, is_own: bool) -> tuple[str, ...]:
        """Check a snapshot's file as a restore would. The file must be writable."""

    @abstractmethod
    def prepare_undo(self, **options: Unpack[UndoOptions]) -> AbstractContextManager[Prepared]:
        """As ``prepare_restore``, for what the last restore replaced."""

    def stage_restore(
        self, chunks: Iterable[bytes], **options: Unpack[RestoreOptions]
    ) -> PendingRestore:
        """Check a snapshot, and keep it for the next start."""
        with self.prepare_restore(chunks, **options) as prepared:
            return prepared.stage()

    def stage_kept_copy(self, **options: Unpack[UndoOptions]) -> PendingRestore:
        """Stage what the last restore replaced."""
        with self.prepare_undo(**options) as prepared:
            return prepared.stage()

    @abstractmethod
    def count_rows(self) -> Mapping[str, int]:
        """
        The number of rows of each table of the live store. A table that can't be read is left out;
        empty if nothing can be, or it takes too long. Never raises.
        """

    @abstractmethod
    def free_bytes(self) -> int | None:
        """How many bytes of the store's disk are free; None if a server does not tell."""

    @abstractmethod
    def discard_pending_restore(self, *, discarded_by: str) -> PendingRestore | None:
        """Discard what is pending. The live store is not touched."""

    @abstractmethod
    def get_status(self) -> RestoreStatus:
        """What is pending, and what the last restore did. Reads only."""

    @abstractmethod
    def list_receipts(self) -> list[Receipt]:
        """Everything that happened to restores, newest first. Reads only."""

    @abstractmethod
    def record_download(self, download: Download) -> None:
        """Record who has taken a snapshot. Does not raise if the system refuses that."""

    @abstractmethod
    def list_downloads(self) -> list[Download]:
        """Who has taken snapshots, newest first, as far as it is recorded. Reads only."""

    @abstractmethod
    def list_kept_copies(self) -> list[KeptCopy]:
        """Every kept copy, newest first. Reads only."""

    @abstractmethod
    def describe_next_start(self, pending: PendingRestore) -> str:
        """Say in a sentence what the next start will do with a pending restore."""

    @abstractmethod
    def is_readable(self) -> bool:
        """Whether there is a live store that can be read. Creates and changes nothing."""

    @abstractmethod
    def has_content(self) -> bool:
        """Whether there is a live store with something in it. Creates nothing. Never raises."""

    def check_ready(self) -> None:  # noqa: B027  # a file needs nothing
        """
        Check that snapshots and restores find all that they need outside of this process.

        :raises BackupError: something is missing; the message says what.
        """

    @abstractmethod
    def software(self) -> dict[str, str]:
        """The software that the store runs on, and its versions, for a snapshot's manifest."""

    @abstractmethod
    def apply_pending_restore(self) -> Receipt | None:
        """Put the pending snapshot in the live store's place, and keep what was live."""

    @abstractmethod
    def repair(self) -> Receipt | None:
        """As the service. :returns: the receipt that a crash has prevented, if any."""

    @abstractmethod
    def apply_now(self, *, applied_by: str, sha256: str | None = None) -> Receipt:
        """Put the pending snapshot's content into the live store, in one transaction."""

    @abstractmethod
    def hold_presence(self) -> None:
        """Tell other processes, as long as this one lives, that it uses the store."""

    def regain_presence(self) -> None:  # noqa: B027  # most stores can't lose it
        """Be present again if a server has ended this, e.g. by a restart. Cheap if it has not."""

    @abstractmethod
    def release_presence(self) -> None:
        """Tell other processes that this one no longer uses the store."""

    # What the archive and the schedule need

    @abstractmethod
    def lock(
        self, name: str, *, wait: bool = False, outside: bool = False
    ) -> AbstractContextManager[Callable[[], bool]]:
        """
        Hold a lock of this name for the block; it ends with the process. No other process of the
        store can hold it then, nor another thread. The block gets a function that says if it is
        held now: a server that is restarted ends its locks, and the block takes it again.

        :param outside: it says only that the process lives: it does not keep a start from applying
            a restore, as every other lock does.
        :raises BusyError: somebody holds it, and ``wait`` is false.
        """

    def may_have_lost_locks(self) -> bool:
        """
        Whether processes at work may not have their locks again yet, since a server has just been
        restarted. Then a lock that is free does not say that a process has ended.
        """
        return False  # most stores can't lose them

    @abstractmethod
    def prove(
        self,
        chunks: Iterable[bytes],
        *,
        max_bytes: int,
        at_least: int = 0,
        watch: Callable[[], None] | None = None,
    ) -> Proof:
        """
        Try a snapshot: do with a copy all that staging and the next start would do with it, and
        count its rows. The live store is not touched, nor what is pending; no copy stays.
        """

    @abstractmethod
    def archive_folder(self) -> Path:
        """Where stored snapshots go if the site names no storage for them. It need not exist."""

    @abstractmethod
    def media_cache(self) -> Path:
        """Where backups keep what they have found of the media files. It need not exist."""

    @abstractmethod
    def recall(self) -> dict[str, Any]:
        """What ``remember`` has kept; empty at first. Reads only."""

    @abstractmethod
    def remember(self) -> AbstractContextManager[dict[str, Any]]:
        """
        Yield what is remembered, for a block that changes it. It is kept beside the store's
        content, so no restore changes it. All processes share it, and one at a time changes it.
        Its values must be fit for JSON.
        """

    @abstractmethod
    def record_backup(self, receipt: Mapping[str, Any]) -> None:
        """
        Record what happened to a stored snapshot; the values must be fit for JSON. No restore
        changes the record. Does not raise if the system refuses to write it.
        """

    @abstractmethod
    def list_backup_receipts(self) -> list[dict[str, Any]]:
        """What ``record_backup`` has recorded, newest first. Very old ones go. Reads only."""

    @abstractmethod
    def watch_commits(self) -> Callable[[], bool]:
        """
        :returns: a function that says if anybody else may have changed the store since this call.
            What this thread's own connection changed does not count.
        """

    @abstractmethod
    def sweep(self) -> list[str]:
        """Remove temporary files of processes that were killed, and return their names."""
