"""What takes a copy of a database out of a running site: ours, and what else there is."""

import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import Peers
from benchmarks.peers.together import running_peers
from benchmarks.rounds import Candidate, Result, run_rounds
from benchmarks.samples import LeftOutError, Sample, run_client, run_command, run_watched
from benchmarks.serving import Server, serving, serving_file
from benchmarks.stores import Store

WARM_UPS = 3  # each process of a server does some things only the first time
PAGES = "our pages over HTTP"
COMPACT = "our compact copy over HTTP (VACUUM INTO, then stream)"
STATIC = "a static file over HTTP (FileResponse)"


def measure_downloads(
    store: Store,
    *,
    rounds: int,
    dbbackup: Path | None,
    peers: Peers,
    only: Collection[str] = (),
) -> list[Result]:
    """
    Run each candidate alone and then beside a writer, for so many rounds.

    :param only: the names of our candidates to run, without the peers; all candidates if empty.
    """
    with (
        static_copy(store) as static,
        serving_file(static) as of_file,
        serving(store) as server,
    ):
        ways = _served(server, of_file, store)
        served = [each for each in ways if not only or each.name in only]
        for candidate in served * WARM_UPS:
            candidate.run()
        if only:
            return run_rounds(served, rounds)
        ours = served + _commands(store) + _others(store, dbbackup)
        with running_peers(peers, static, lambda peer: peer.downloads()) as (theirs, left_out):
            return run_rounds(ours + theirs, rounds) + left_out


def folder_candidate(
    store: Store, name: str, run: Callable[[Path], Sample], pid: int = 0
) -> Candidate:
    """A candidate with a new folder for its output; ``pid`` is a server whose memory is watched."""

    def run_in_folder() -> Sample:
        output = store.data.parent / "output"
        output.mkdir()
        try:
            return run_watched(lambda: run(output), pid) if pid else run(output)
        finally:
            shutil.rmtree(output)

    return Candidate(name, run_in_folder, store.database)


def _served(server: Server, of_file: Server, store: Store) -> list[Candidate]:
    api, static, key = f"{server.url}/api/v1/backup", f"{of_file.url}/static-file", store.key
    zstd = "--encoding=zstd"
    ways: dict[str, Callable[[Path], Sample]] = {
        STATIC: lambda _: run_client(static, key),
        PAGES: lambda _: run_client(f"{api}?compact=0", key),
        COMPACT: lambda _: run_client(f"{api}?compact=1", key),
        "our pages over HTTP, zstd": lambda _: run_client(f"{api}?compact=0", key, zstd),
        "a static file over HTTP, to a file": lambda output: run_client(
            static, key, f"--output={output / 'x.db'}"
        ),
        "our pages over HTTP, to a file": lambda output: run_client(
            f"{api}?compact=0", key, f"--output={output / 'x.db'}"
        ),
    }
    return [
        folder_candidate(store, name, run, (of_file if "static" in name else server).pid)
        for name, run in ways.items()
    ]


def _commands(store: Store) -> list[Candidate]:
    def command(*options: str) -> Callable[[Path], Sample]:
        return lambda output: run_command(
            *(sys.executable, "manage.py", "backup", "--local", *options),
            *("-o", output / "x.db"),
            TASKDOG_DATA_DIR=str(store.data),
        )

    return [
        folder_candidate(store, "manage.py backup --no-compact", command("--no-compact")),
        folder_candidate(store, "manage.py backup --compact", command("--compact")),
    ]


def _others(store: Store, dbbackup: Path | None) -> list[Candidate]:
    database = store.database

    def sqlite3(statement: str) -> Callable[[Path], Sample]:
        return lambda output: run_command("sqlite3", database, statement.format(output / "x.db"))

    def run_dbbackup(output: Path) -> Sample:
        if dbbackup is None:
            raise LeftOutError("no environment with requirements-bench.txt was named")
        return run_command(
            *(dbbackup, "-m", "django", "dbbackup"),
            DJANGO_SETTINGS_MODULE="benchmarks.dbbackup_settings",
            BENCHMARK_DATABASE=str(database),
            BENCHMARK_OUTPUT=str(output),
        )

    return [
        folder_candidate(store, name, run)
        for name, run in (
            ("cp (loses what is in the WAL)", lambda out: run_command("cp", database, out)),
            ('sqlite3 ".backup"', sqlite3(".backup '{}'")),
            ('sqlite3 "VACUUM INTO"', sqlite3("VACUUM INTO '{}'")),
            ("django-dbbackup", run_dbbackup),
        )
    ]


@contextmanager
def static_copy(store: Store) -> Iterator[Path]:
    """A file of the same bytes, made before anybody has the database open."""
    copy = store.data.parent / "static.db"
    shutil.copyfile(store.database, copy)
    try:
        yield copy
    finally:
        copy.unlink()
