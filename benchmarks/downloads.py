"""What takes a copy of a database out of a running site: ours, and what else there is."""

import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import (
    EndlessError,
    LeftOutError,
    Sample,
    median,
    run_beside_writer,
    run_client,
    run_command,
    run_watched,
)
from benchmarks.serving import Server, serving
from benchmarks.stores import Store

PAGES = "our pages over HTTP"
COMPACT = "our compact copy over HTTP (VACUUM INTO, then stream)"
STATIC = "a static file over HTTP (FileResponse)"


@dataclass(frozen=True)
class Candidate:
    """A way to a copy; ``output`` is where it may put it."""

    name: str
    run: Callable[[Path], Sample]
    is_served: bool = False  # by our server, whose memory is watched then


@dataclass(frozen=True)
class Result:
    """The median of all runs, or why there is none, or none beside the writer."""

    name: str
    sample: Sample | None
    reason: str = ""


def measure_downloads(
    store: Store, *, rounds: int, dbbackup: Path | None, only: Collection[str] = ()
) -> list[Result]:
    """
    Run each candidate in turn, alone and then beside a writer, for so many rounds.

    :param only: the names of those that are run; all if there are none.
    """
    with _static_copy(store) as static, serving(store, static_file=static) as server:
        candidates = _served(server, store) + _commands(store) + _others(store, dbbackup)
        candidates = [each for each in candidates if not only or each.name in only]
        alone: dict[str, list[Sample]] = {each.name: [] for each in candidates}
        beside: dict[str, list[Sample]] = {each.name: [] for each in candidates}
        endless: dict[str, str] = {}
        reasons = _warm_up([each for each in candidates if each.is_served], server, store)
        for _ in range(rounds):
            for candidate in candidates:
                if candidate.name in reasons:
                    continue
                try:
                    alone[candidate.name].append(_run(candidate, server, store))
                    if candidate.name in endless:
                        continue
                    beside[candidate.name].append(
                        run_beside_writer(
                            lambda each=candidate: _run(each, server, store),  # type: ignore[misc]
                            store.database,
                        )
                    )
                except LeftOutError as error:
                    reasons[candidate.name] = str(error)
                except EndlessError as error:
                    endless[candidate.name] = f"{error} beside the writer"
    return [
        Result(name, None, reasons[name])
        if name in reasons
        else Result(name, _both(alone[name], beside[name]), endless.get(name, ""))
        for name in alone
    ]


def _warm_up(candidates: list[Candidate], server: Server, store: Store) -> dict[str, str]:
    """Let the server do everything once that it imports or opens for the first time."""
    reasons = {}
    for candidate in candidates:
        try:
            _run(candidate, server, store)
        except LeftOutError as error:
            reasons[candidate.name] = str(error)
    return reasons


def _both(alone: list[Sample], beside: list[Sample]) -> Sample:
    """Time and memory of the runs alone; what the writer felt of the others, if they ended."""
    one = median(alone)
    if not beside:
        return one
    other = median(beside)
    return Sample(
        *(one.seconds, 0.0, one.first, one.encoding, one.client, one.server),
        *(other.kept, other.slowest, other.slowest_alone),
    )


def _run(candidate: Candidate, server: Server, store: Store) -> Sample:
    output = store.data.parent / "output"
    output.mkdir()
    try:
        if candidate.is_served:
            return run_watched(lambda: candidate.run(output), server.pid)
        return candidate.run(output)
    finally:
        shutil.rmtree(output)


def _served(server: Server, store: Store) -> list[Candidate]:
    api, static, key = f"{server.url}/api/v1/backup", f"{server.url}/static-file", store.key
    zstd = "--encoding=zstd"
    return [
        Candidate(STATIC, lambda _: run_client(static, key), is_served=True),
        Candidate(PAGES, lambda _: run_client(f"{api}?compact=0", key), is_served=True),
        Candidate(COMPACT, lambda _: run_client(f"{api}?compact=1", key), is_served=True),
        Candidate(
            "our pages over HTTP, zstd",
            lambda _: run_client(f"{api}?compact=0", key, zstd),
            is_served=True,
        ),
        Candidate(
            "a static file over HTTP, to a file",
            lambda output: run_client(static, key, f"--output={output / 'x.db'}"),
            is_served=True,
        ),
        Candidate(
            "our pages over HTTP, to a file",
            lambda output: run_client(f"{api}?compact=0", key, f"--output={output / 'x.db'}"),
            is_served=True,
        ),
    ]


def _commands(store: Store) -> list[Candidate]:
    def command(*options: str) -> Callable[[Path], Sample]:
        return lambda output: run_command(
            *(sys.executable, "manage.py", "backup", "--local", *options),
            *("-o", output / "x.db"),
            TASKDOG_DATA_DIR=str(store.data),
        )

    return [
        Candidate("manage.py backup --no-compact", command("--no-compact")),
        Candidate("manage.py backup --compact", command("--compact")),
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
        Candidate("cp (loses what is in the WAL)", lambda out: run_command("cp", database, out)),
        Candidate('sqlite3 ".backup"', sqlite3(".backup '{}'")),
        Candidate('sqlite3 "VACUUM INTO"', sqlite3("VACUUM INTO '{}'")),
        Candidate("django-dbbackup", run_dbbackup),
    ]


@contextmanager
def _static_copy(store: Store) -> Iterator[Path]:
    """A file of the same bytes, made before anybody has the database open."""
    copy = store.data.parent / "static.db"
    shutil.copyfile(store.database, copy)
    try:
        yield copy
    finally:
        copy.unlink()
