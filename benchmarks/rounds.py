"""Candidates that do the same thing in different ways, run in turn for several rounds."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import EndlessError, LeftOutError, Sample, median, run_beside_writer


@dataclass(frozen=True)
class Candidate:
    """
    A way to do it, and the database for the writer beside it, a file or a URL; None for no writer.
    """

    name: str
    run: Callable[[], Sample]
    written: Path | str | None = None


@dataclass(frozen=True)
class Result:
    """The median of all runs; the reason if there is none, or none beside the writer."""

    name: str
    sample: Sample | None
    reason: str = ""


@dataclass
class _Runs:
    candidate: Candidate
    alone: list[Sample]
    beside: list[Sample]
    reason: str = ""
    is_out: bool = False

    def run(self) -> None:
        """Once alone, and once beside the writer, unless it was endless there before."""
        if self.is_out:
            return
        try:
            os.sync()  # so that it does not wait for what the one before has written
            self.alone.append(self.candidate.run())
            if self.candidate.written is not None and not self.reason:
                os.sync()
                self.beside.append(run_beside_writer(self.candidate.run, self.candidate.written))
        except LeftOutError as error:
            self.reason, self.is_out = str(error), True
        except EndlessError as error:
            self.reason = f"{error} beside the writer" if self.alone else str(error)
            self.is_out = not self.alone

    def result(self) -> Result:
        name = self.candidate.name
        return Result(name, None if self.is_out else _both(self.alone, self.beside), self.reason)


def run_rounds(candidates: Sequence[Candidate], rounds: int) -> list[Result]:
    """
    Run each candidate alone and then beside a writer, for so many rounds.

    The order changes from round to round, since a candidate can slow down the next one: memory that
    a virtual machine has given back to its host takes long to get again.
    """
    runs = [_Runs(candidate, [], []) for candidate in candidates]
    for number in range(rounds):
        # The same orders in each benchmark.
        for each in random.Random(number).sample(runs, len(runs)):  # noqa: S311 - nothing secret
            each.run()
    return [each.result() for each in runs]


def _both(alone: list[Sample], beside: list[Sample]) -> Sample:
    """Time and memory of the runs alone; what the writer felt of the others, if they ended."""
    one = median(alone)
    if not beside:
        return one
    other = median(beside)
    return Sample(
        *(one.seconds, 0.0, one.first, one.encoding, one.client, one.server),
        *(other.kept, other.slowest, other.slowest_alone, other.writes_alone),
    )
