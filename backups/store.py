"""
The port: what services need of a store that can be copied and put back whole.

Chunks of bytes go out and in; no path, no SQL and no file format shows. Everything that knows
SQLite stands behind it, in ``backups/sqlite/``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

# What a restore refuses unless it is accepted explicitly.
DEFECTS = "defects"  # what breaks a rule of the schema, in rows that SQLite can read
FOREIGN = "foreign"  # a database that has nothing of the project's own apps
ACCEPTABLE = (DEFECTS, FOREIGN)

MOST_NAMED = 5  # of the kinds of defects; a site with thousands has them in a few places


class Snapshot(ABC):
    """
    A consistent copy of the store, of a length that is known before its first byte.

    Iterating gives its bytes in order, once, and raises when the rest can't be read: what was read
    until then is not a snapshot. Close it, or use it in ``with``: then what it holds is released,
    read or not.
    """

    method: str  # how it was taken: "compact", rewritten without gaps, or "pages", as they are
    size: int  # bytes
    taken_at: datetime  # UTC
    # What breaks a rule of its schema, and how often, where a short look has found it; None if
    # nobody has looked.
    defects: Mapping[str, int] | None = None
    id: str | None = None  # by which its rest can be asked for during some minutes
    sha256: str | None = None  # of all its bytes, once that is known
    first: int = 0  # the byte that iterating begins with
    last: int | None = None  # the byte that it ends with; None for the last one

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes, in chunks of bounded size.

        :raises SnapshotFailedError: the rest can't be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds: disk space, locks. May be called more than once."""

    def abandon(self) -> None:
        """
        Release what an unclosed snapshot holds, when Python collects it. That can happen in the
        middle of anything that a thread does, so this starts no thread and takes no shared lock.
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
    """Another snapshot, with something that happens while it is read or when it is closed."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Takes over the snapshot, and has its attributes."""
        self._snapshot = snapshot
        self.method, self.size = snapshot.method, snapshot.size
        self.taken_at, self.defects = snapshot.taken_at, snapshot.defects
        self.id = snapshot.id
        self.first, self.last = snapshot.first, snapshot.last

    @property
    def sha256(self) -> str | None:  # type: ignore[override]
        """That of the other one, which may know it only when all was read."""
        return self._snapshot.sha256

    def abandon(self) -> None:
        self._snapshot.abandon()


class Turn(Protocol):
    """One of the turns for uploads and checks, until its ``with`` block ends."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class PendingRestore:
    """A snapshot that passed every check and waits for the next start."""

    size: int  # bytes, as it was uploaded
    sha256: str  # 64 hex digits, of the bytes as they were uploaded
    staged_at: datetime  # UTC
    staged_by: str  # the key's or the user's name
    migrations: tuple[str, ...]  # ``app.name`` of each that the next start will run
    warnings: tuple[str, ...] = ()  # sentences for the person who staged it
    undoes: str | None = None  # the kept copy that this is, when a restore is undone


@dataclass(frozen=True)
class Receipt:
    """One thing that happened to a restore."""

    id: str
    at: datetime  # UTC
    outcome: str  # "staged", "discarded", "applied", "refused" or "blocked"
    reason: str  # one sentence; empty unless something was wrong
    size: int | None  # bytes, as it was uploaded; None where nothing is known of the file
    sha256: str | None
    staged_at: datetime | None  # UTC
    staged_by: str | None
    migrations: tuple[str, ...]  # ``app.name`` of each that was run
    kept: str | None  # the file name of the old database, or of the one set aside
    seconds: float  # how long it took
    by: str | None = None  # the key or the user; None for a process that was starting
    undoes: str | None = None  # the kept copy that this is, when a restore is undone
    removed: tuple[str, ...] = ()  # the kept copies that had to go for the one it made


@dataclass(frozen=True)
class KeptCopy:
    """What was live before a restore, under its own name beside the database."""

    name: str
    size: int  # bytes
    kept_at: datetime  # UTC
    is_database: bool  # False: SQLite could not read it, so it is a folder of raw copies
    stays_until: datetime | None = None  # UTC; no restore removes it before; None: none ever does


@dataclass(frozen=True)
class Download:
    """A snapshot that somebody has taken, or a part of it."""

    id: str
    at: datetime  # UTC, when it began
    outcome: str  # "begun", "whole" or "broken off"
    by: str | None  # the key or the user; None for this process
    address: str | None  # where the request came from; None for a command
    method: str  # "compact" or "pages"
    size: int  # bytes, of the whole snapshot
    first: int = 0  # the byte that it began with
    sent: int | None = None  # bytes, as far as they were handed out; None while it is under way
    sha256: str | None = None  # of the whole snapshot, where it is known
    seconds: float | None = None  # how long it took


@dataclass(frozen=True)
class RestoreStatus:
    """What waits, the outcome of the last restore, and which processes would be in the way."""

    pending: PendingRestore | None
    last: Receipt | None  # applied, refused or blocked
    present: tuple[str, ...]  # processes that have the store open, this one first


class BackupStore(ABC):
    """
    A store that can be copied while it is used, and replaced when nobody uses it.

        NOTHING ──stage_restore───────────▶ PENDING
        PENDING ──stage_restore───────────▶ PENDING   (the newer one replaces it)
        PENDING ──discard_pending_restore─▶ NOTHING
        PENDING ──apply_pending_restore───▶ NOTHING   (applied; the old store is kept)
        PENDING ──apply_pending_restore───▶ NOTHING   (refused; the snapshot is set aside)
        PENDING ──apply_pending_restore───▶ PENDING   (blocked; the next start tries again)
        PENDING ──apply_now───────────────▶ NOTHING   (applied while others go on)
        any ──────stage_kept_copy─────────▶ PENDING   (what the last restore replaced)
    """

    @abstractmethod
    def create_snapshot(
        self, *, compact: bool | None = None, caller: str | None = None
    ) -> Snapshot:
        """
        Copy the store, as it is between two commits, while others go on writing.

        :param compact: True for a copy without gaps, whole before this returns; False for the
            store's own pages, read as they are handed out; None for what suits its size. Where
            the pages can't be taken, the copy is compact: see ``method`` of what is returned.
        :param caller: who may ask for the rest of it later, by its ``id``, if it has one.
        :raises TooManySnapshotsError: as many are under way as may be at once.
        :raises BackupNotSupportedError: the store has no file behind it.
        :raises NotEnoughSpaceError: the disk has no room for the copy; nothing is left there.
        :raises SnapshotFailedError: the store can't be read; nothing is left on the disk.
        """

    @abstractmethod
    def resume_snapshot(
        self, snapshot_id: str, *, caller: str, first: int = 0, last: int | None = None
    ) -> Snapshot | None:
        """
        The bytes from ``first`` to ``last`` of a snapshot that was taken before.

        :returns: None unless it is still there and ``caller`` took it.
        :raises TooManySnapshotsError: as many are under way as may be at once.
        """

    @abstractmethod
    def take_upload_turn(self) -> Turn:
        """
        Take one of the turns for uploads and checks. Never waits.

        Whoever calls ``stage_restore``, ``stage_kept_copy`` or ``check_snapshot`` has one, and
        takes it before the first byte of an upload is read.

        :returns: the turn, which ends with its block and with its process.
        :raises TooManyUploadsError: as many are under way as may be at once.
        :raises StoreFolderError: the lock file can't be opened.
        """

    @abstractmethod
    def stage_restore(
        self,
        chunks: Iterable[bytes],
        *,
        staged_by: str,
        max_bytes: int,
        at_least: int = 0,
        account: str | None = None,
        accept: Collection[str] = (),
        watch: Callable[[], None] | None = None,
    ) -> PendingRestore:
        """
        Check a snapshot and keep it for the next start. The live store is not touched.

        A restore that is pending already is replaced when, and only when, the new one has
        passed every check. If anything fails, nothing has changed.

        :param chunks: the bytes in order; read once, never held whole.
        :param max_bytes: the most that is accepted; the rest is left unread.
        :param at_least: how many bytes will come for sure, if that is known beforehand.
        :param account: the account that stages, if it is one of the store's own: the result
            warns if the snapshot does not have it.
        :param accept: words of ``ACCEPTABLE``: what is taken although it is wrong.
        :param watch: called now and then while it is checked; what it raises ends the check.
        :raises SnapshotTooLargeError: past ``max_bytes``, or ``at_least`` is, before any read.
        :raises NotEnoughSpaceError: the disk has no room for it.
        :raises InvalidSnapshotError: it is not a whole snapshot of this site.
        :raises StoreFolderError: the system refused to write it.
        """

    @abstractmethod
    def check_snapshot(self, path: Path, *, is_own: bool) -> tuple[str, ...]:
        """
        Check a snapshot's file as a restore would. Changes nothing, but the file must be writable.

        :param is_own: whether it is of this store, and not of another server's.
        :returns: a sentence for each thing that is wrong with it, though it could be restored.
        :raises InvalidSnapshotError: a restore would refuse it.
        :raises StoreFolderError: the file can't be read.
        """

    @abstractmethod
    def stage_kept_copy(
        self, *, staged_by: str, watch: Callable[[], None] | None = None
    ) -> PendingRestore:
        """
        Stage what the last restore replaced, so that the next start undoes that restore.

        The kept copy stays where it is. Whatever is wrong with it is a warning: it was live.

        :raises NoKeptCopyError: no restore was applied yet, or its kept copy is gone.
        :raises BackupError: as ``stage_restore``, but for ``InvalidSnapshotError``.
        """

    @abstractmethod
    def discard_pending_restore(self, *, discarded_by: str) -> PendingRestore | None:
        """
        Discard what is pending. The live store is not touched.

        :returns: what was known of it, or None if its description was lost.
        :raises NoPendingRestoreError: nothing is pending.
        """

    @abstractmethod
    def get_status(self) -> RestoreStatus:
        """What waits for the next start, and what the last one did. Reads only."""

    @abstractmethod
    def list_receipts(self) -> list[Receipt]:
        """Everything that happened to restores, newest first. Reads only."""

    @abstractmethod
    def record_download(self, download: Download) -> None:
        """Remember who has taken a snapshot. Never raises for what the system refuses."""

    @abstractmethod
    def list_downloads(self) -> list[Download]:
        """Who has taken snapshots, newest first, as far as it is remembered. Reads only."""

    @abstractmethod
    def list_kept_copies(self) -> list[KeptCopy]:
        """Every kept copy, newest first. Reads only."""

    @abstractmethod
    def foresee_warnings(self, head: bytes) -> tuple[str, ...]:
        """What staging will warn of, as far as a snapshot's first bytes tell. Reads nothing."""

    @abstractmethod
    def describe_next_start(self, pending: PendingRestore) -> str:
        """Say in a sentence what the next start will do with a pending restore."""

    @abstractmethod
    def is_readable(self) -> bool:
        """
        Whether there is a live store that can be read. Creates and changes nothing.

        :raises RestoreBlockedError: it is not known now.
        """

    @abstractmethod
    def apply_pending_restore(self) -> Receipt | None:
        """
        Put the pending snapshot in the live store's place, and keep what was live.

        The calling process must be about to open the store, and not have done so yet. Does
        nothing but hold presence if nothing is pending.

        :returns: the outcome: applied, refused or blocked; None if nothing was pending.
            Whatever the outcome, the store is whole: the old one, or the new one.
        """

    @abstractmethod
    def repair(self) -> Receipt | None:
        """
        Finish what a crash interrupted, and apply nothing. To be called as the above is.

        :returns: the receipt that the crash kept from being written, if it did.
        """

    @abstractmethod
    def apply_now(self, *, applied_by: str, sha256: str | None = None) -> Receipt:
        """
        Put the pending snapshot's content into the live store, in one transaction.

        Every open connection of every process reads the new content from its next transaction
        on. What was live is kept first. Killed at any moment, it is the old or the new one.

        :param sha256: of the snapshot that is meant; None for whichever is pending.
        :returns: the receipt of it; nothing is pending any more.
        :raises NoPendingRestoreError: nothing is pending.
        :raises NeedsRestartError: it can't be done while others go on; it stays pending.
        :raises RestoreBlockedError: another one is pending now; that stays pending.
        :raises RestoreRefusedError: it can't be applied at all; it is set aside.
        :raises NotEnoughSpaceError: the disk has no room for both; it stays pending.
        """

    @abstractmethod
    def hold_presence(self) -> None:
        """Tell other processes, for the life of this one, that the store is in use here."""

    @abstractmethod
    def release_presence(self) -> None:
        """Tell other processes that this one no longer uses the store."""

    @abstractmethod
    def sweep(self) -> list[str]:
        """Remove temporary files of processes that were killed, and return their names."""
