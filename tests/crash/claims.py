"""
What must hold in a data folder after a kill or an error, and after the next start.

Nothing here opens a database where it lies, which would recover it: copies are read.
"""

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.sqlite.records.manifest import Manifest
from tests.backups import builders
from tests.backups.stores import Store
from tests.crash.cases import Case, Place
from tests.crash.strace import Call
from tests.crash.worker import Ended, Worker

PROMISED_COPIES = 3  # so many of the newest kept copies are there for sure
TO_REMOVE = ("unlink", "unlinkat", "rmdir", "newfstatat", "getdents64")  # failing, it stays
TO_ENTER = ("openat", "fcntl")  # so it does if it is a folder
GOOD = ("applied", "staged", "discarded")

# What a person is told of EACCES, EIO and ENOSPC: by the system, or by SQLite.
REASONS = re.compile(
    "Permission denied|Input/output error|No space left on device|No such file or directory"
    "|disk I/O error|disk is full|unable to open database file|readonly database|malformed"
    "|are free|locking protocol|is locked|is in use|is still there|it did not finish within"
)
FULL_DISK = re.compile("No space left on device|disk is full")
CODE_WORDS = re.compile(r"Traceback|\b[A-Za-z.]*(Error|Exception)\b|Errno")


@dataclass(frozen=True)
class State:
    """A data folder at one moment."""

    live: str  # the item of the live database; "" without one; a hash if it is not whole
    pending: str  # the SHA-256 of the pending file, or ""
    is_whole: bool  # whether the pending file is what its manifest says, or nothing is pending
    next: str  # what the next start has to make of the two
    journal_mode: str
    mode_to_be: str  # of the live database when all is done
    kept: tuple[str, ...]  # the names of the kept copies, oldest first
    raw: dict[str, bytes]
    applied: int  # receipts of applied restores

    @classmethod
    def of(cls, place: Place) -> "State":
        """Look, and change nothing."""
        store = place.store
        live, pending = content(store.database), store.paths.pending
        sha256 = files.sha256(pending) if pending.exists() else ""
        is_whole = not sha256 or _is_whole(store, sha256)
        return cls(
            live=live,
            pending=sha256,
            is_whole=is_whole,
            next=content(pending) if sha256 and is_whole else live,
            journal_mode=_journal_mode(store.database),
            mode_to_be="wal" if _was_wal(store) else _journal_mode(store.database),
            kept=tuple(path.name for path in store.kept() if not _is_live(store, path)),
            raw=store.folder(),
            applied=len(_receipts(store, "applied")),
        )


def content(database: Path) -> str:
    """
    The one item of a whole database; "" if there is none; the hash of one that is not whole.

    Reads a copy, sidecars and all.
    """
    if not database.exists() or not database.stat().st_size:
        return ""
    folder = database.with_name("copy").parent.with_name("copy")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for suffix in ("", *("-wal", "-shm", "-journal")):
        if (beside := database.with_name(database.name + suffix)).exists():
            shutil.copyfile(beside, folder / f"copy.db{suffix}")
    try:
        (item,) = _items(folder / "copy.db")
    except (sqlite3.DatabaseError, AssertionError, ValueError) as error:
        return "" if "no such table" in str(error) else files.sha256(database)
    finally:
        shutil.rmtree(folder)
    return item


def allowed(before: State) -> tuple[str | None, ...]:
    """What a verb may tell that meets no fault: None of a start that had nothing to do."""
    return (*GOOD, None if before.is_whole else "refused")


def _items(database: Path) -> list[str]:
    """What it holds, if it is whole: the items of a small site, or the tasks of the real one."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        table = "tasks" if "tasks" in tables else "items"
        return [name for (name,) in connection.execute(f"SELECT name FROM {table}")]


def check_after_kill(case: Case, place: Place, before: State, worker: Worker) -> None:
    """What a kill may leave, and what the next start has to make of it."""
    now = State.of(place)
    assert now.live in (before.live, *case.lives), f"neither the old nor the new: {now.live!r}"
    assert now.is_whole or now.pending == before.pending, "a pending file is not whole"
    _check_old_is_there(place, before)
    check_next_start(case, place, before, now, worker)


def check_next_start(
    case: Case,
    place: Place,
    before: State,
    now: State,
    worker: Worker,
    *,
    keeps_mode: bool = True,
) -> None:
    """A start without a fault ends with the one or the other, whole, and leaves nothing else."""
    ended = worker.run(case.starts, place.named)
    assert ended.code == 0
    assert ended.outcome in (None, "applied", "refused" if not before.is_whole else None), ended
    end = State.of(place)
    assert end.live == now.next
    assert end.live in case.ends
    assert not end.pending
    _check_old_is_there(place, before)
    _check_tidy(place, before, end)
    if keeps_mode:
        _check_journal_mode(before, end)
    _check_undo(place, before, end)
    assert end.applied - before.applied == (end.live != before.live or _was_unrecorded(before))
    listing = place.store.listing()
    assert worker.run(case.starts, place.named) == Ended(0, None)
    assert (State.of(place), place.store.listing()) == (end, listing), "a second start changed it"


def check_after_error(
    case: Case, place: Place, before: State, call: Call, ended: Ended, worker: Worker
) -> None:
    """
    The verb came to its end all the same, or said why not and left everything as it was.

    ``call`` is what failed: what could not be removed may be left until the next start.
    """
    now = State.of(place)
    assert ended.code == 0
    assert ended.outcome != "crashed", ended.reason
    _check_old_is_there(place, before)
    assert now.is_whole or now.pending == before.pending
    is_done = ended.outcome in GOOD or (ended.outcome == "refused" and not before.is_whole)
    if is_done:
        assert now.live in (before.live, *case.lives)
    else:
        if "is in place" in ended.reason:  # an overwrite that was committed, but not synced
            assert now.pending
            assert now.live in case.lives
        elif "" in case.lives:  # it could not be read before, and may be emptied: it is kept
            assert now.live in (before.live, *case.lives)
        else:
            assert now.live == before.live
            # On a full disk SQLite can neither give back the mode nor tell what it has committed.
            is_full = FULL_DISK.search(ended.reason)
            assert now.kept == before.kept or is_full
            assert now.journal_mode == before.journal_mode or is_full
        assert now.pending == before.pending or case.name.startswith("older")
        assert not now.pending or ended.outcome is not None, "nobody was told"
        _check_told(place, ended)
    _check_no_temporary(place, call)
    if not is_done and now.pending == before.pending:
        retried = worker.run(case.verb, place.named, *case.arguments(place))
        assert retried.outcome in allowed(before), retried
    # What is applied stays applied, though the system may not let SQLite enter WAL mode then.
    keeps_mode = ended.outcome != "applied"
    check_next_start(case, place, before, State.of(place), worker, keeps_mode=keeps_mode)


def _check_told(place: Place, ended: Ended) -> None:
    if ended.outcome is None:
        return
    assert str(place.data) in ended.reason, f"names no file: {ended}"
    assert REASONS.search(ended.reason), f"names no reason: {ended}"
    assert not CODE_WORDS.search(ended.reason), f"not for people: {ended}"
    assert ended.outcome != "refused", f"a good snapshot was set aside: {ended}"


def _check_old_is_there(place: Place, before: State) -> None:
    """Every committed row of the database that was live, in it or in a kept copy."""
    store = place.store
    gone = set(before.kept) - {path.name for path in store.kept()}
    assert not gone or len(store.kept()) >= PROMISED_COPIES, f"kept copies are gone: {gone}"
    kept = [path / "tasks.db" if path.is_dir() else path for path in store.kept()]
    here = [content(store.database), *map(content, kept)]
    if before.live and len(before.live) < 64:
        assert before.live in here, f"the old rows are lost: {here}"
        return
    raw_sets = [builders.folder(path) for path in store.kept() if path.is_dir()]
    raw_sets += [builders.folder(place.data)]
    raw_sets += [{"tasks.db": path.read_bytes()} for path in store.kept() if path.is_file()]
    for name in ("tasks.db", "tasks.db-wal", "tasks.db-journal"):
        if old := before.raw.get(name):
            assert old in [raw.get(name) for raw in raw_sets], f"{name} is lost"


def _check_tidy(place: Place, before: State, end: State) -> None:
    store = place.store
    expected = {"tasks.db", "tasks.db.restore-receipts.jsonl"}
    expected |= {path.name for path in (*store.kept(), *store.refused())}
    if end.live == before.live or end.journal_mode == "wal":
        expected |= {f"tasks.db{suffix}" for suffix in ("-wal", "-shm", "-journal")}
    left = {name for name in store.listing() - expected if name.startswith("tasks.db")}
    if "tasks.db-wal" in left and not place.store.paths.sidecars[0].stat().st_size:
        left.remove("tasks.db-wal")  # SQLite could not unlink it; empty, it says nothing
    assert not left, f"something was left behind: {left}"
    assert bool(store.refused()) == (not before.is_whole)
    if store.database.exists():
        assert os.stat(store.database).st_nlink == 1


def _check_journal_mode(before: State, end: State) -> None:
    """As it was before, if SQLite could read what was live."""
    if before.live and len(before.live) < 64:
        assert end.journal_mode == before.mode_to_be, f"it is in {end.journal_mode} mode"


def _check_undo(place: Place, before: State, end: State) -> None:
    """An undo brings back what was live before the last restore."""
    applied = _receipts(place.store, "applied")[before.applied :]
    if end.live == before.live or not applied:
        return
    kept = applied[-1]["kept"]
    if before.live:
        assert kept is not None, "the receipt does not say what was kept"
        path = place.data / kept
        assert content(path / "tasks.db" if path.is_dir() else path) == before.live, kept


def _check_no_temporary(place: Place, call: Call) -> None:
    left = place.store.temporaries()
    if call.name in TO_REMOVE:
        return
    if call.name in TO_ENTER and "keeping" in call.target:
        left = [name for name in left if not (place.data / name).is_dir()]
    assert not left, "a temporary file is left"


def _is_live(store: Store, kept: Path) -> bool:
    """Whether this is no copy yet, but a second name of the live database."""
    return store.database.exists() and kept.samefile(store.database)


def _is_whole(store: Store, sha256: str) -> bool:
    manifest = Manifest.read(store.paths.manifest(sha256))
    size = store.paths.pending.stat().st_size
    return manifest is not None and (manifest.sha256, manifest.size) == (sha256, size)


def _receipts(store: Store, outcome: str) -> list[dict[str, Any]]:
    return [receipt for receipt in store.receipts() if receipt["outcome"] == outcome]


def _journal_mode(database: Path) -> str:
    return builders.journal_mode(database) if database.exists() else ""


def _was_wal(store: Store) -> bool:
    """Whether a try that was interrupted has noted so."""
    return any((found := Manifest.read(path)) and found.was_wal for path in store.paths.manifests())


def _was_unrecorded(before: State) -> bool:
    """Whether a kill had kept the receipt of an earlier apply from being written."""
    return not before.pending and bool(before.kept) and before.applied == 0


def copy(place: Place, destination: Path) -> Place:
    """The same place again, hard links and times included."""
    shutil.rmtree(destination, ignore_errors=True)
    subprocess.run(["cp", "-a", place.root, destination], check=True)
    return Place(destination)
