"""One run of one candidate: how long it took, whose memory it took, and whom it kept waiting."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.memory import Peak, wait_until_idle
from benchmarks.stores import CHECKOUT
from benchmarks.writer import Commits, Writer

Number = TypeVar("Number", int, float)

MOST_SECONDS = 30.0  # for one run of a command
ALONE_SECONDS = 1.0  # for which the writer is let alone before each run, to compare with


class LeftOutError(Exception):
    """A candidate that can't be run here, and why."""


class EndlessError(Exception):
    """A candidate that has not come to its end in the time that it has."""


@dataclass(frozen=True)
class Sample:
    """What was measured; None what was not. Memory is in bytes above idle."""

    seconds: float
    started: float  # time.monotonic()
    first: float | None = None  # seconds until the first byte came
    encoding: str = ""
    client: int | None = None
    server: int | None = None
    kept: float | None = None  # writes a second of the writer, as a part of those it has alone
    slowest: float | None = None  # seconds that a write took at most
    slowest_alone: float | None = None
    writes_alone: float | None = None  # a second


def run_client(url: str, key: str, *options: str) -> Sample:
    """
    Let a client in a separate process fetch (or send) something.

    :raises LeftOutError: the server refused it, with its answer.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.client", *options, "--", url, key],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it is ready: what it has now is idle
    with Peak(process.pid) as peak:
        output, errors = process.communicate("\n")
    if process.returncode:
        raise LeftOutError(errors.strip().splitlines()[-1])
    took = json.loads(output)
    return Sample(
        seconds=took["seconds"],
        started=took["started"],
        first=took["first"] or None,
        encoding=took["encoding"],
        client=peak.above_idle,
    )


def run_command(*command: str | Path, **variables: str) -> Sample:
    """Run a program to its end, which must come within ``MOST_SECONDS``: see ``run_at_most``."""
    return run_at_most(MOST_SECONDS, *command, **variables)


def run_at_most(most_seconds: float, *command: str | Path, **variables: str) -> Sample:
    """
    Run a program to its end. Its memory is all that it has: it has not been idle.

    :raises LeftOutError: there is no such program, or it failed.
    :raises EndlessError: it had to be killed.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=os.environ | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as error:
        raise LeftOutError(f"there is no {error.filename} here") from error
    try:
        with Peak(process.pid) as peak:
            _, errors = process.communicate(timeout=most_seconds)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise EndlessError(f"not at its end after {most_seconds:.0f} s") from error
    seconds = time.monotonic() - started
    if process.returncode:
        raise LeftOutError(f"it failed: {(errors.strip() or 'without a word').splitlines()[-1]}")
    return Sample(seconds=seconds, started=started, client=peak.above_idle)


def run_watched(run: Callable[[], Sample], server: int) -> Sample:
    """Run it, and watch the memory of the server with this pid, which is idle before."""
    wait_until_idle(server)
    with Peak(server) as peak:
        sample = run()
    return replace(sample, server=peak.above_idle)


def run_beside_writer(run: Callable[[], Sample], database: Path | str) -> Sample:
    """Run it while somebody writes, who has been writing alone for a second."""
    with Writer(database) as writer:
        alone = time.monotonic()
        time.sleep(ALONE_SECONDS)
        begun = time.monotonic()
        sample = run()
    before: Commits = writer.between(alone, begun)
    during = writer.between(sample.started, sample.started + sample.seconds)
    return replace(
        sample,
        kept=during.a_second / before.a_second if before.a_second else None,
        slowest=during.slowest,
        slowest_alone=before.slowest,
        writes_alone=before.a_second,
    )


def median(samples: Iterable[Sample]) -> Sample:
    """The median of each figure; of memory and of the slowest write the highest."""
    several = list(samples)
    return Sample(
        seconds=statistics.median(each.seconds for each in several),
        started=0.0,
        first=_of(statistics.median, [each.first for each in several]),
        encoding=several[0].encoding,
        client=_of(max, [each.client for each in several]),
        server=_of(max, [each.server for each in several]),
        kept=_of(statistics.median, [each.kept for each in several]),
        slowest=_of(max, [each.slowest for each in several]),
        slowest_alone=_of(max, [each.slowest_alone for each in several]),
        writes_alone=_of(statistics.median, [each.writes_alone for each in several]),
    )


def _of(choose: Callable[[list[Number]], Number], values: list[Number | None]) -> Number | None:
    measured = [value for value in values if value is not None]
    return choose(measured) if measured else None
