"""The results as tables of ratios, in Markdown."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.archive import BY_HAND as STORED_BY_HAND
from benchmarks.archive import NOTHING as NOTHING_STORED
from benchmarks.both import Column
from benchmarks.downloads import COMPACT, PAGES, STATIC
from benchmarks.idle import Idle
from benchmarks.rounds import Result
from benchmarks.samples import Sample
from benchmarks.starts import Starts
from benchmarks.uploads import BY_HAND, CHECKED, FORM, RAW, SENT, THEIRS

NOTHING = "–"
NOT_MEASURED = Sample(seconds=0.0, started=0.0)
MEGABYTE = 1e6


def downloads_table(results: Sequence[Result], size: int) -> list[str]:
    """One line for each way to a copy."""
    static, compact = _seconds(results, STATIC), _seconds(results, COMPACT)
    rows = [
        [
            result.name + (f" ({sample.encoding})" if sample.encoding else ""),
            f"{sample.seconds:.2f}",
            f"{size / MEGABYTE / sample.seconds:,.0f}",
            _ratio(static, sample.seconds),
            _ratio(compact, sample.seconds),
            _milliseconds(sample.first),
            _megabytes(sample.server),
            _megabytes(sample.client),
            _part(sample.kept),
            f"{_milliseconds(sample.slowest)} ({_milliseconds(sample.slowest_alone)})",
        ]
        for result, sample in _measured(results)
    ]
    head = (
        *("a copy of the database", "s", "MB/s", "speed ÷ static file", "speed ÷ compact copy"),
        *("first byte, ms", "server, MB", "client, MB"),
        *("writes/s kept", "slowest write, ms (alone)"),
    )
    return [*_table(head, rows), *_left_out(results)]


def uploads_table(results: Sequence[Result], size: int) -> list[str]:
    """One line for each way to a staged snapshot, beside the check by hand."""
    by_hand, theirs = _seconds(results, BY_HAND), _seconds(results, THEIRS)
    rows = [
        [
            result.name,
            CHECKED.get(result.name, NOTHING),
            f"{sample.seconds:.2f}",
            f"{size / MEGABYTE / sample.seconds:,.0f}",
            _part(by_hand and sample.seconds / by_hand),
            _ratio(theirs, sample.seconds),
            _megabytes(sample.server),
            _megabytes(sample.client),
            _part(sample.kept),
            f"{_milliseconds(sample.slowest)} ({_milliseconds(sample.slowest_alone)})",
        ]
        for result, sample in _measured(results)
    ]
    head = (
        *("an upload", "what is checked", "s", "MB/s", "time ÷ by hand"),
        *("speed ÷ taskdog's own server", "server, MB", "client, MB"),
        *("writes/s kept", "slowest write, ms (alone)"),
    )
    return [*_table(head, rows), *_left_out(results)]


def storing_table(results: Sequence[Result]) -> list[str]:
    """One line for each way to a compressed copy in a folder."""
    by_hand, nothing = _seconds(results, STORED_BY_HAND), _sample(results, NOTHING_STORED)
    idle = (nothing and nothing.client) or 0
    rows = [
        [
            result.name,
            f"{sample.seconds:.2f}",
            _part(by_hand and sample.seconds / by_hand),
            _megabytes(sample.client),
            _megabytes(None if sample.client is None else max(0, sample.client - idle)),
            _part(sample.kept),
            f"{_milliseconds(sample.slowest)} ({_milliseconds(sample.slowest_alone)})",
        ]
        for result, sample in _measured(results)
    ]
    head = (
        *("a compressed copy in a folder", "s", "time ÷ zstd", "memory, MB"),
        *("… above a command of ours that stores nothing", "writes/s kept"),
        "slowest write, ms (alone)",
    )
    return [*_table(head, rows), *_left_out(results)]


def idle_sentence(idle: Idle) -> str:
    """What a schedule costs while nothing is due."""
    return (
        f"A site that nobody asks anything takes {idle.with_schedule:.3%} of a core with a schedule"
        f" whose time does not come, and {idle.without:.3%} without one."
    )


def rollback_table(results: Sequence[Result], size: int) -> list[str]:
    """One line for each kind of snapshot, with what a writer of the database felt of it."""
    rows = [
        [
            result.name,
            f"{sample.seconds:.2f}",
            _part(sample.kept),
            f"{_milliseconds(sample.slowest)} ({_milliseconds(sample.slowest_alone)})",
        ]
        for result, sample in _measured(results)
    ]
    what = f"in rollback mode, {size / MEGABYTE:,.0f} MB"
    return _table((what, "s", "writes/s kept", "slowest write, ms (alone)"), rows)


def growth_table(
    downloads: dict[int, Sequence[Result]],
    uploads: dict[int, Sequence[Result]],
    starts: dict[int, Starts],
) -> list[str]:
    """One line for each figure, one column for each size."""
    sizes = list(downloads)

    def row(name: str, cells: Iterable[str]) -> list[str]:
        return [name, *cells]

    def seconds(results: dict[int, Sequence[Result]], name: str) -> list[str]:
        times = (_seconds(results[size], name) for size in sizes)
        return row(f"{name}, s", (NOTHING if each is None else f"{each:.2f}" for each in times))

    pages = [_sample(downloads[size], PAGES) or NOT_MEASURED for size in sizes]
    rows = [
        *(seconds(downloads, name) for name in (STATIC, PAGES, COMPACT)),
        row("pages: first byte, ms", (_milliseconds(each.first) for each in pages)),
        row("pages: server, MB above idle", (_megabytes(each.server) for each in pages)),
        row("pages: client, MB above idle", (_megabytes(each.client) for each in pages)),
        row("pages: writes/s kept", (_part(each.kept) for each in pages)),
        row("pages: slowest write, ms", (_milliseconds(each.slowest) for each in pages)),
        *(seconds(uploads, name) for name in (BY_HAND, RAW, FORM, SENT)),
        row("start, s", (f"{starts[size].without:.2f}" for size in sizes)),
        row("start that applies, s", (f"{starts[size].applying:.2f}" for size in sizes)),
        row("… of that the SHA-256, s", (f"{starts[size].hashing:.2f}" for size in sizes)),
        row("… and the rest, s", (f"{starts[size].rest:.2f}" for size in sizes)),
    ]
    return _table(("how it grows", *(f"{size / MEGABYTE:,.0f} MB" for size in sizes)), rows)


def both_table(columns: Sequence[Column]) -> list[str]:
    """One line for each figure, one column for each kind of store."""

    def row(
        name: str, samples: Iterable[Sample | None], figure: Callable[[Sample], str]
    ) -> list[str]:
        return [name, *(NOTHING if each is None else figure(each) for each in samples)]

    works = {
        "a snapshot over HTTP": [each.taken for each in columns],
        "upload, checked and staged": [each.staged for each in columns],
        "upload, checked and applied now": [each.applied for each in columns],
    }
    rows = [
        ["the database on the disk, MB", *(_megabytes(each.size) for each in columns)],
        ["a snapshot, MB", *(_megabytes(each.snapshot_size) for each in columns)],
    ]
    for name, samples in works.items():
        rows += [
            row(f"{name}, s", samples, _seconds_of),
            row("… memory of our server, MB", samples, lambda each: _megabytes(each.server)),
            row("… a writer keeps of its writes", samples, lambda each: _part(each.kept)),
            row("… its slowest write, ms (alone)", samples, _slowest_of),
        ]
    moves = [each.moved for each in columns]
    rows += [
        ["start, s", *(f"{each.start:.2f}" for each in columns)],
        ["start that applies, s", *(f"{each.start_that_applies:.2f}" for each in columns)],
        row("one writer alone, commits a second", works["a snapshot over HTTP"], _writes_of),
        row("the move there from SQLite, s", moves, _seconds_of),
        row("… memory of our command, MB", moves, lambda each: _megabytes(each.client)),
    ]
    return _table(("what", *(each.kind for each in columns)), rows)


def _seconds_of(sample: Sample) -> str:
    return f"{sample.seconds:.2f}"


def _slowest_of(sample: Sample) -> str:
    return f"{_milliseconds(sample.slowest)} ({_milliseconds(sample.slowest_alone)})"


def _writes_of(sample: Sample) -> str:
    return NOTHING if sample.writes_alone is None else f"{sample.writes_alone:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    line = ["---", *("---:" for _ in head[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (head, line, *rows)]


def _measured(results: Iterable[Result]) -> list[tuple[Result, Sample]]:
    return [(each, each.sample) for each in results if each.sample is not None]


def _left_out(results: Iterable[Result]) -> list[str]:
    missing = [f"- {each.name}: {each.reason}" for each in results if each.reason]
    return ["", "Left out:", "", *missing] if missing else []


def _sample(results: Iterable[Result], name: str) -> Sample | None:
    return next((each.sample for each in results if each.name == name), None)


def _seconds(results: Iterable[Result], name: str) -> float | None:
    sample = _sample(results, name)
    return None if sample is None else sample.seconds


def _ratio(reference: float | None, seconds: float) -> str:
    return _part(reference and reference / seconds)


def _part(part: float | None) -> str:
    return NOTHING if part is None else f"{part:.2f}"


def _milliseconds(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{1000 * seconds:.0f}"


def _megabytes(size: int | None) -> str:
    return NOTHING if size is None else f"{size / MEGABYTE:.1f}"
