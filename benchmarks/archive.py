"""What stores a compressed copy of a database in a folder: ours, and what else there is."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage

from benchmarks.downloads import folder_candidate, static_copy
from benchmarks.peers import Peers
from benchmarks.peers.litestream import litestream
from benchmarks.rounds import Result, run_rounds
from benchmarks.samples import LeftOutError, Sample, run_command
from benchmarks.stores import Store

BY_HAND = "zstd -3 (loses what is in the WAL)"
STORED = "manage.py backup --store"
ENCRYPTED = "manage.py backup --store, encrypted"
NOTHING = "manage.py backups list (stores nothing)"
NEW = ("backup", "--store", "--label", "benchmark")  # also if nothing has changed


def measure_storing(
    store: Store, *, rounds: int, dbbackup: Path | None, peers: Peers | None
) -> list[Result]:
    """
    Run each candidate alone and then beside a writer, for so many rounds.

    :param peers: None to run ours only.
    """
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    ways: dict[str, Callable[[Path], Sample]] = {
        BY_HAND: lambda out: run_command("zstd", "-3", "-q", store.database, "-o", out / "x.zst"),
        NOTHING: _command(store, "backups", "list"),
        STORED: _command(store, *NEW),
        ENCRYPTED: _command(store, *NEW, TASKDOG_BACKUP_RECIPIENTS=recipient),
    }
    if peers is not None:
        ways["django-dbbackup --compress"] = _dbbackup(store, dbbackup)
    ours = [folder_candidate(store, name, run) for name, run in ways.items()]
    if peers is None:
        return run_rounds(ours, rounds)
    with static_copy(store) as copy:
        (place := copy.with_name("litestream")).mkdir()
        try:
            with litestream(peers, place, copy) as peer:
                return run_rounds([*ours, *peer.downloads()], rounds)
        except LeftOutError as error:
            return [*run_rounds(ours, rounds), Result("Litestream", None, str(error))]
        finally:
            shutil.rmtree(place)


def _command(store: Store, *words: str, **variables: str) -> Callable[[Path], Sample]:
    def run(output: Path) -> Sample:
        return run_command(
            *(sys.executable, "manage.py", *words),
            TASKDOG_DATA_DIR=str(store.data),
            TASKDOG_BACKUP_STORAGE=str(output),
            **variables,
        )

    return run


def _dbbackup(store: Store, dbbackup: Path | None) -> Callable[[Path], Sample]:
    def run(output: Path) -> Sample:
        if dbbackup is None:
            raise LeftOutError("no environment with requirements-bench.txt was named")
        return run_command(
            *(dbbackup, "-m", "django", "dbbackup", "--compress"),
            DJANGO_SETTINGS_MODULE="benchmarks.dbbackup_settings",
            BENCHMARK_DATABASE=str(store.database),
            BENCHMARK_OUTPUT=str(output),
        )

    return run
