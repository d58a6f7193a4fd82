"""How long a snapshot keeps the writers of a database waiting that is not in WAL mode."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.snapshots.create import SnapshotLimits, create_snapshot
from benchmarks.rounds import Result
from benchmarks.samples import Sample, median, run_beside_writer
from benchmarks.stores import Store

LIMITS = SnapshotLimits(
    compact_up_to=0, at_once=1, spool_seconds=10, stall_seconds=60, resume_seconds=0
)


def measure_rollback(store: Store, *, rounds: int) -> list[Result]:
    """Take each kind of snapshot in turn beside a writer, for so many rounds."""
    with _in_rollback_mode(store) as database:
        candidates: dict[str, Callable[[], None]] = {
            "VACUUM INTO": lambda: _vacuum(database),
            "our compact copy": lambda: _read(database, compact=True),
            "our pages": lambda: _read(database, compact=False),
        }
        samples: dict[str, list[Sample]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, run in candidates.items():
                os.sync()  # what the last one wrote is not this one's burden
                samples[name].append(run_beside_writer(lambda: _timed(run), database))  # noqa: B023
        return [Result(name, median(samples[name])) for name in candidates]


@contextmanager
def _in_rollback_mode(store: Store) -> Iterator[Path]:
    folder = store.data.with_name("rollback")
    folder.mkdir()
    try:
        database = folder / store.database.name
        shutil.copyfile(store.database, database)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        yield database
    finally:
        shutil.rmtree(folder)


def _timed(run: Callable[[], None]) -> Sample:
    started = time.monotonic()
    run()
    return Sample(seconds=time.monotonic() - started, started=started)


def _vacuum(database: Path) -> None:
    copy = database.with_name("copy.db")
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    copy.unlink()


def _read(database: Path, *, compact: bool) -> None:
    with create_snapshot(
        StorePaths.of(database),
        lambda: sqlite3.connect(database, timeout=60, isolation_level=None),
        compact=compact,
        limits=LIMITS,
        presence=None,
    ) as snapshot:
        for _ in snapshot:
            pass
