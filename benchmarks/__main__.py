"""
``python -m benchmarks``: build the stores, measure, print the tables, and write them to a file.

``--size`` is of the store that everything is compared on, in MB; a fifth and the fourfold of it
show how things grow.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.archive import measure_storing
from benchmarks.both import measure_both
from benchmarks.downloads import COMPACT, PAGES, STATIC, measure_downloads
from benchmarks.idle import MOST_SECONDS, measure_idle
from benchmarks.machine import describe
from benchmarks.peers import Peers
from benchmarks.rollback import measure_rollback
from benchmarks.rounds import Result
from benchmarks.rows import SHAPES, TASKDOG
from benchmarks.samples import LeftOutError
from benchmarks.starts import Starts, measure_starts
from benchmarks.stores import CHECKOUT, Store, build_store
from benchmarks.tables import (
    both_table,
    downloads_table,
    growth_table,
    idle_sentence,
    rollback_table,
    storing_table,
    uploads_table,
)
from benchmarks.uploads import measure_uploads

MEGABYTE = 10**6
GROWTH = (0.2, 1, 2, 4)
GROWN = (STATIC, PAGES, COMPACT)  # what the table of growth shows
NOTES = """\
Medians of {rounds} rounds; for memory and for the slowest write, the highest value. Each round runs
every candidate once alone, for its time, and once beside the writer. The writer commits one
transaction after another, without a pause, on the same cores, to the database of that candidate.
Speed counts the bytes of the database, compressed or not. Memory is anonymous memory above idle: of
the client, and of all processes of the server together, with those that it starts for the check.
What two processes share since a fork counts once. For a command, memory is all that it has. The
database of each peer is a copy of the benchmark's store."""
SHAPE = """\
### {shape}

The store is {what}. {size:,.0f} MB."""


def main() -> None:
    """Measure, and write the results."""
    options = _options()
    sizes = [round(options.size * MEGABYTE * part) for part in options.growth]
    options.folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# What the benchmark measured",
        "",
        *describe(options.dbbackup, Peers(options.peers, options.python)),
        "",
    ]
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.folder))
    try:
        lines += _measure(folder, options.size * MEGABYTE, sizes, options)
    finally:
        shutil.rmtree(folder)
    text = "\n".join(lines) + "\n"
    print(text)
    options.results.write_text(text)


def _measure(
    folder: Path, size: int, sizes: Sequence[int], options: argparse.Namespace
) -> list[str]:
    peers = Peers(options.peers, options.python)
    downloads: dict[int, Sequence[Result]] = {}
    uploads: dict[int, Sequence[Result]] = {}
    starts: dict[int, Starts] = {}
    storing: dict[int, Sequence[Result]] = {}
    for each in sorted({size, *sizes}):
        is_main = each == size
        rounds = options.rounds if each <= size else min(options.rounds, options.rounds_large)
        with _built(folder, each) as store:
            _say(f"copying it, {rounds} rounds")
            downloads[each] = measure_downloads(
                store,
                rounds=rounds,
                dbbackup=options.dbbackup,
                peers=peers,
                only=() if is_main else GROWN,
            )
            if is_main:
                _say("copying it in rollback mode")
                rollback = measure_rollback(store, rounds=rounds)
            _say("uploading it")
            uploads[each] = measure_uploads(store, rounds=rounds, peers=peers if is_main else None)
            if is_main:  # before it is stored in folders that do not stay
                both = _both(store, rounds)
                _say("serving it, idle")
                idle = measure_idle(store, seconds=min(options.size, MOST_SECONDS))
            _say("storing it")
            storing[each] = measure_storing(
                store,
                rounds=rounds,
                dbbackup=options.dbbackup,
                peers=peers if is_main else None,
            )
            _say("applying it at a start")
            starts[each] = measure_starts(store, rounds=rounds)
    shapes = {TASKDOG: uploads[size]} | {
        shape: _upload_shape(folder, size, shape, options.rounds, peers)
        for shape in SHAPES
        if shape != TASKDOG
    }
    return [
        NOTES.format(rounds=_rounds(options)),
        *("", f"## {size / MEGABYTE:,.0f} MB", ""),
        *(*downloads_table(downloads[size], size), ""),
        *(*rollback_table(rollback, size), "", "## Backups that are stored", ""),
        *_storing(storing),
        *(idle_sentence(idle), "", "## Both kinds of store", "", *both, "", "## Uploads", ""),
        *_shapes(shapes, size),
        *("## Growth", ""),
        *growth_table(downloads, uploads, starts),
    ]


def _both(store: Store, rounds: int) -> list[str]:
    _say("measuring it beside PostgreSQL")
    try:
        return both_table(measure_both(store, rounds=rounds))
    except LeftOutError as error:
        _say(f"left out: {error}")
        return [f"Left out: {error}."]


def _upload_shape(
    folder: Path, size: int, shape: str, rounds: int, peers: Peers
) -> Sequence[Result]:
    with _built(folder, size, shape) as store:
        _say("uploading it")
        return measure_uploads(store, rounds=rounds, peers=peers)


def _storing(results: dict[int, Sequence[Result]]) -> list[str]:
    lines = []
    for size, each in results.items():
        lines += [f"### {size / MEGABYTE:,.0f} MB", "", *storing_table(each), ""]
    return lines


def _shapes(shapes: dict[str, Sequence[Result]], size: int) -> list[str]:
    lines = []
    for shape, results in shapes.items():
        head = SHAPE.format(shape=shape, what=SHAPES[shape], size=size / MEGABYTE)
        lines += [head, "", *uploads_table(results, size), ""]
    return lines


@contextmanager
def _built(folder: Path, size: int, shape: str = TASKDOG) -> Iterator[Store]:
    _say(f"building a store of {size / MEGABYTE:,.0f} MB: {shape}")
    place = folder / str(size)
    try:
        yield build_store(place / "data", size, shape)
    finally:
        shutil.rmtree(place)


def _rounds(options: argparse.Namespace) -> str:
    if options.rounds_large >= options.rounds:
        return str(options.rounds)
    return f"{options.rounds} ({options.rounds_large} of the largest store)"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", type=int, default=500, help="MB (default: 500)")
    parser.add_argument("--growth", type=float, nargs="*", default=GROWTH, help="parts of that")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rounds-large", type=int, default=3, help="of stores above --size")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "data", help="on which disk")
    parser.add_argument("--dbbackup", type=Path, help="a Python that has requirements-bench.txt")
    parser.add_argument("--peers", type=Path, help="the folder for the environments of the peers")
    parser.add_argument("--python", default=sys.executable, help="a newer one, for some peers")
    parser.add_argument("--results", type=Path, default=CHECKOUT / "benchmarks/results.md")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    options.dbbackup = options.dbbackup and options.dbbackup.absolute()
    options.peers = options.peers and options.peers.absolute()
    return options


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    main()
