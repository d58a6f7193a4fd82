"""Candidates that do the same thing in different ways, run in turn, again and again."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import EndlessError, LeftOutError, Sample, median, run_beside_writer


@dataclass(frozen=True)
class Candidate:
    """A way to do it, and the database that somebody writes to beside it."""

    name: str
    run: Callable[[], Sample]
    written: Path | None = None


@dataclass(frozen=True)
class Result:
    """The median of all runs, or why there is none, or none beside the writer."""

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
        """Once alone, and once beside the writer if it has come to its end there until now."""
        if self.is_out:
            return
        try:
            os.sync()  # nobody is to wait for what another has left to be written
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
    Run each candidate alone and then beside a writer, in an order that changes, for so many rounds.

    What the one before has left is felt: memory that a virtual machine has given back to its host
    takes long to be had again.
    """
    runs = [_Runs(candidate, [], []) for candidate in candidates]
    for number in range(rounds):
        # In another order in each round, the same in each run: none always follows another one.
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
        *(other.kept, other.slowest, other.slowest_alone),
    )
