"""
Where a verb may start from: data folders as sites, crashes and accidents leave them.

A case is a line: its verb, its name, how the live database came to be, and what is staged or
handed to the verb. ``OLD`` is what the live database holds, ``NEW`` what a restore brings.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from backups.sqlite.records.manifest import Manifest
from tests.backups import builders
from tests.backups.stores import Store
from tests.crash.strace import Fault
from tests.crash.worker import Worker

OLD, NEW, NEWER = "old", "new", "newer"

Build = Callable[[Path], object]

NO_LINKS = Fault("linkat", "error=EPERM")  # a file system that has none, such as vfat
# The live name can't be renamed over. Before that the manifest gets its name, and so does the
# folder of raw copies.
MOUNT_POINT = Fault("rename", "error=EBUSY", "2")
MOUNTED_RUIN = Fault("rename", "error=EBUSY", "3")


@dataclass(frozen=True)
class Place:
    """A folder with everything of one try: the data folder, and what lies outside of it."""

    root: Path

    @property
    def data(self) -> Path:
        """The data folder, whose system calls are the points."""
        return self.root / "data"

    @property
    def store(self) -> Store:
        """The store around the real file."""
        return Store(self.data / "tasks.db")

    @property
    def named(self) -> Path:
        """The database as the settings of the site would name it."""
        link = self.root / "tasks.db"
        return link if link.is_symlink() else self.data / "tasks.db"


@dataclass(frozen=True)
class Case:
    """One verb from one start."""

    verb: str
    name: str
    live: Build
    pending: Build | None = None  # what was staged before
    given: Build | None = None  # the file that the verb is given
    lives: tuple[str, ...] = ()  # what may be live besides the old, whenever the verb is stopped
    ends: tuple[str, ...] = ()  # what may be live after the next start
    more: Callable[[Place, Worker], None] | None = None  # what else happened before
    faults: tuple[Fault, ...] = ()  # of this place, in every run
    starts: str = "start"  # the verb that is a start
    stages: str = "stage"  # the verb that stages a file
    child: str = ""  # the module of a process that the verb starts, if it is that which stops

    def __str__(self) -> str:
        return f"{self.verb}, {self.name}"

    def prepare(self, place: Place, worker: Worker) -> None:
        """Make the place what it is before the verb."""
        place.data.mkdir(parents=True)
        if self.pending is not None:
            snapshot = place.root / "pending.db"
            self.pending(snapshot)
            staged = worker.run(self.stages, place.named, str(snapshot))
            assert staged.outcome == "staged", staged
        self.live(place.data / "tasks.db")
        if self.given is not None:
            self.given(place.root / "given.db")
        if self.more is not None:
            self.more(place, worker)

    def arguments(self, place: Place) -> tuple[str, ...]:
        """What the verb is given besides the database."""
        return (str(place.root / "given.db"),) if self.given is not None else ()


def whole(name: str, journal_mode: str = "delete", page_size: int = builders.PAGE_BYTES) -> Build:
    """A whole database with this item."""
    return lambda path: builders.healthy(path, name, journal_mode=journal_mode, page_size=page_size)


def older(name: str) -> Build:
    """One that lacks a migration."""
    return lambda path: builders.older(path, name)


def _hot_wal(path: Path) -> None:
    builders.hot_wal(path, OLD)


def _nothing(path: Path) -> None:
    """No live database."""


# What else happened


def _through_a_link(place: Place, worker: Worker) -> None:
    """The settings name a symbolic link in another folder."""
    os.symlink("data/tasks.db", place.root / "tasks.db")


def _scribble_on_pending(place: Place, worker: Worker) -> None:
    with place.store.paths.pending.open("r+b") as pending:
        pending.write(b"scribbled")


def _open_pending_by_hand(place: Place, worker: Worker) -> None:
    """Somebody looked into the pending file with another program, which left its sidecars."""
    for sidecar in place.store.paths.pending_sidecars[:2]:
        sidecar.write_bytes(b"")


def _second_manifest(place: Place, worker: Worker) -> None:
    """As a staging leaves it that was killed between its two renames."""
    snapshot = whole(NEWER)
    snapshot(place.root / "other.db")
    builders.manifest(place.root / "other.db", "0" * 64).write(place.store.paths)


def _two_names(place: Place, worker: Worker) -> None:
    """As an apply leaves it that was killed before its rename."""
    with closing(sqlite3.connect(place.store.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    os.link(place.store.database, place.store.paths.beside(".pre-restore-20260101-000000"))


def _without_receipt(place: Place, worker: Worker) -> None:
    """As an apply leaves it that was killed after its rename."""
    store = place.store
    manifest, content = Manifest.read(*store.paths.manifests()), store.paths.pending.read_bytes()
    assert manifest is not None
    assert worker.run("start", place.named).outcome == "applied"
    (kept,) = store.kept()
    store.database.write_bytes(content)  # WAL mode comes after the receipt
    for sidecar in store.paths.sidecars:
        sidecar.unlink(missing_ok=True)
    replace(manifest, keeps=kept.name, was_wal=True).write(store.paths)
    store.paths.receipts.unlink()


def _after_a_restore(place: Place, worker: Worker) -> None:
    """What was pending is live now, and what was live is kept."""
    assert worker.run("start", place.named).outcome == "applied"


def _earlier_restores(place: Place, worker: Worker) -> None:
    """Kept copies of three restores before this one."""
    for day in "123":
        builders.healthy(
            place.store.paths.beside(f".pre-restore-2026010{day}-000000"), f"day {day}"
        )


_start = partial(Case, "start", lives=(NEW,), ends=(NEW,))

_mounted = partial(Case, "start", lives=("", NEW), ends=(NEW,))
_apply_now = partial(Case, "apply now", lives=(NEW,), ends=(NEW,))
_overwrite = partial(Case, "overwrite", lives=(NEW,), ends=(NEW,))

CHECK = "backups.sqlite.checking.check_child"

CASES = (
    _start("clean", whole(OLD), whole(NEW)),
    _start("clean WAL", whole(OLD, "wal"), whole(NEW)),
    _start("hot WAL", _hot_wal, whole(NEW)),
    _start("hot journal", lambda path: builders.hot_journal(path, OLD), whole(NEW)),
    _start("PERSIST journal", lambda path: builders.persistent_journal(path, OLD), whole(NEW)),
    _start("missing", _nothing, whole(NEW)),
    _start("missing, its WAL is left", lambda path: builders.orphan_wal(path, OLD), whole(NEW)),
    _start("zero bytes", builders.empty, whole(NEW)),
    _start("not a database", builders.text, whole(NEW)),
    _start("first page ruined", builders.ruined, whole(NEW)),
    _start("an index page ruined", builders.scribbled_page, whole(NEW)),
    _start("other page size", whole(OLD, "wal", 8192), whole(NEW)),
    _start("snapshot in WAL mode", _hot_wal, whole(NEW, "wal")),
    _start("through a symbolic link", _hot_wal, whole(NEW), more=_through_a_link),
    _start("older snapshot", _hot_wal, older(NEW)),
    _start("older snapshot, none live", _nothing, older(NEW)),
    _start("without hard links", _hot_wal, whole(NEW), faults=(NO_LINKS,)),
    _start("pending opened by hand", _hot_wal, whole(NEW), more=_open_pending_by_hand),
    _start("after earlier restores", _hot_wal, whole(NEW), more=_earlier_restores),
    _start("after a kill before the rename", _hot_wal, whole(NEW), more=_two_names),
    _start("after a kill after the rename", _hot_wal, whole(NEW), more=_without_receipt),
    Case(
        "start", "pending is damaged", _hot_wal, whole(NEW), ends=(OLD,), more=_scribble_on_pending
    ),
    Case("start", "nothing is pending", _hot_wal, ends=(OLD,)),
    _start("a mount point", _hot_wal, whole(NEW), faults=(MOUNT_POINT,)),
    _mounted("a mount point, not a database", builders.text, whole(NEW), faults=(MOUNTED_RUIN,)),
    _start(
        "a mount point, other page size", whole(OLD, "wal", 8192), whole(NEW), faults=(MOUNT_POINT,)
    ),
    _mounted("a mount point, zero bytes", builders.empty, whole(NEW), faults=(MOUNT_POINT,)),
    Case("stage", "nothing is pending", _hot_wal, given=whole(NEW), ends=(OLD, NEW)),
    Case("stage", "another is pending", _hot_wal, whole(NEW), whole(NEWER), ends=(NEW, NEWER)),
    Case("stage", "the same is pending", _hot_wal, whole(NEW), whole(NEW), ends=(NEW,)),
    Case("stage", "the live one is missing", _nothing, given=whole(NEW), ends=("", NEW)),
    Case(
        *("stage", "through a symbolic link", _hot_wal),
        given=whole(NEW, "wal"),
        ends=(OLD, NEW),
        more=_through_a_link,
    ),
    Case("discard", "pending", _hot_wal, whole(NEW), ends=(OLD, NEW)),
    Case(
        *("discard", "opened by hand", _hot_wal, whole(NEW)),
        ends=(OLD, NEW),
        more=_open_pending_by_hand,
    ),
    Case(
        *("discard", "two manifests", _hot_wal, whole(NEW)),
        ends=(OLD, NEW),
        more=_second_manifest,
    ),
    Case("undo", "a restore", _hot_wal, whole(NEW), ends=(NEW, OLD), more=_after_a_restore),
    _overwrite("clean WAL", whole(OLD, "wal"), whole(NEW)),
    _overwrite("hot WAL", _hot_wal, whole(NEW)),
    _overwrite("clean", whole(OLD), whole(NEW)),
    _overwrite("hot journal", lambda path: builders.hot_journal(path, OLD), whole(NEW)),
    _apply_now("hot WAL", _hot_wal, whole(NEW)),
    _apply_now(
        "hot WAL, its child", _hot_wal, whole(NEW), child="backups.sqlite.restores.apply_now_child"
    ),
    Case("stage", "its child", _hot_wal, given=whole(NEW), ends=(OLD, NEW), child=CHECK),
    _start("older snapshot, its child", _hot_wal, older(NEW), child=CHECK),
)
