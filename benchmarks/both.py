"""
Both kinds of store on the same rows, side by side: ``python -m benchmarks.both --size 200``.

The PostgreSQL site gets its rows by the move, which is measured too. The server is one of those
that the tests start, and syncs what it commits. Memory is of our processes, not of that server.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import requests

from benchmarks.rounds import Candidate, Result, run_rounds
from benchmarks.samples import LeftOutError, Sample, run_at_most, run_client, run_watched
from benchmarks.serving import Server, serving
from benchmarks.stores import CHECKOUT, Store, build_store
from benchmarks.uploads import copied_snapshot
from tests.postgres import programs
from tests.postgres.server import new_server

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
SNAPSHOT, STAGE, APPLY = "snapshot", "upload and stage", "upload and apply now"
MOVE_SECONDS = 3600.0  # at most
MEGABYTE = 10**6
ONE_KEPT = {"TASKDOG_KEPT_COPIES": "1", "TASKDOG_KEPT_DAYS": "0"}  # or each round keeps one more


@dataclass(frozen=True)
class Site:
    """A site with one kind of store, and the snapshot of it that is uploaded."""

    kind: str
    store: Store
    written: Path | str  # the database, for the writer: a file or a URL
    snapshot: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def candidates(self, server: Server) -> list[Candidate]:
        """What is measured while it is served."""
        return [
            Candidate(self._name(SNAPSHOT), lambda: self._take(server), self.written),
            Candidate(self._name(STAGE), lambda: self._stage(server), self.written),
            Candidate(self._name(APPLY), lambda: self._upload(server, "?apply=now"), self.written),
        ]

    def result(self, results: list[Result], what: str) -> Sample | None:
        """What was measured of one of them."""
        return next((each.sample for each in results if each.name == self._name(what)), None)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Serve it for the block."""
        with serving(self.store, **ONE_KEPT, **self.variables) as server:
            yield server

    def stage(self, server: Server) -> None:
        """Stage the snapshot."""
        self._upload(server)

    def size(self) -> int:
        """Bytes of the database on the disk."""
        if isinstance(self.written, Path):
            return self.written.stat().st_size
        with psycopg.connect(self.written) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    def _name(self, what: str) -> str:
        return f"{self.kind}: {what}"

    def _take(self, server: Server) -> Sample:
        """The pages, or a dump: what a large database is sent as."""
        url = f"{server.url}/api/v1/backup?compact=0"
        return run_watched(lambda: run_client(url, self.store.key), server.pid)

    def _stage(self, server: Server) -> Sample:
        sample = self._upload(server)
        url = f"{server.url}/api/v1/restore"
        requests.delete(url, headers={"X-Api-Key": self.store.key}, timeout=60).raise_for_status()
        return sample

    def _upload(self, server: Server, query: str = "") -> Sample:
        url = f"{server.url}/api/v1/restore{query}"
        options = (f"--upload={self.snapshot}", "--form")
        return run_watched(lambda: run_client(url, self.store.key, *options), server.pid)


@dataclass(frozen=True)
class Column:
    """The figures of one kind of store. Times are in seconds, sizes in bytes."""

    kind: str
    size: int
    snapshot_size: int
    taken: Sample | None
    staged: Sample | None
    applied: Sample | None
    start: float
    start_that_applies: float
    moved: Sample | None = None  # there from SQLite


def measure_both(store: Store, *, rounds: int) -> list[Column]:
    """
    Measure this store, and one on PostgreSQL with the same rows.

    :raises LeftOutError: there is no PostgreSQL here.
    """
    if not programs.found():
        raise LeftOutError("there is no PostgreSQL here")
    with ExitStack() as stack:
        snapshot = stack.enter_context(copied_snapshot(store))
        first = Site(SQLITE, store, store.database, snapshot)
        second, moved = stack.enter_context(_on_postgres(store, snapshot))
        with first.serving() as one, second.serving() as other:
            second = replace(second, snapshot=_download(second, other))
            results = run_rounds([*first.candidates(one), *second.candidates(other)], rounds)
        return [_column(first, results, rounds), _column(second, results, rounds, moved)]


@contextmanager
def _on_postgres(store: Store, snapshot: Path) -> Iterator[tuple[Site, Sample]]:
    """A site on a new server with the rows of a SQLite snapshot, and how they were moved."""
    version = max(programs.found())
    data = store.data.parent / "on-postgres"
    data.mkdir()
    with new_server(version, durable=True) as server:
        url = server.url(server.make_database())
        variables = {
            "TASKDOG_DATABASE_URL": url,
            "TASKDOG_POSTGRES_PROGRAMS": str(server.programs),
        }
        on_server = Store(data, "")
        on_server.manage("migrate", "--verbosity", "0", **variables)
        key = on_server.manage("create_api_key", "benchmark", **variables).strip()
        moved = run_at_most(
            MOVE_SECONDS,
            *(sys.executable, "manage.py", "restore_db", snapshot, "--now", "--yes"),
            TASKDOG_DATA_DIR=str(data),
            **ONE_KEPT,
            **variables,
        )
        yield Site(f"{POSTGRES} {version}", Store(data, key), url, snapshot, variables), moved


def _download(site: Site, server: Server) -> Path:
    dump = site.store.data.parent / "snapshot.dump"
    run_client(f"{server.url}/api/v1/backup", site.store.key, f"--output={dump}")
    return dump


def _column(site: Site, results: list[Result], rounds: int, moved: Sample | None = None) -> Column:
    size = site.size()
    without, applying = zip(*(_start(site) for _ in range(rounds)), strict=True)
    return Column(
        kind=site.kind,
        size=size,
        snapshot_size=site.snapshot.stat().st_size,
        taken=site.result(results, SNAPSHOT),
        staged=site.result(results, STAGE),
        applied=site.result(results, APPLY),
        start=statistics.median(without),
        start_that_applies=statistics.median(applying),
        moved=moved,
    )


def _start(site: Site) -> tuple[float, float]:
    """The seconds of a start, and of one that applies."""
    with site.serving() as server:
        without = server.start_seconds
        site.stage(server)
    with site.serving() as server:
        key = {"X-Api-Key": site.store.key}
        told = requests.get(f"{server.url}/api/v1/restore", headers=key, timeout=60).json()
        if told["status"] != "nothing":
            raise RuntimeError("the restore was not applied")
        return without, server.start_seconds


def main() -> None:
    """Measure, and print the table."""
    from benchmarks.tables import both_table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.both", description=__doc__)
    parser.add_argument("--size", type=int, default=200, help="MB (default: 200)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "data", help="on which disk")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.folder.absolute()))
    try:
        store = build_store(folder / "data", options.size * MEGABYTE)
        print("\n".join(both_table(measure_both(store, rounds=options.rounds))))
    except LeftOutError as error:
        print(f"Left out: {error}.")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
