"""
A kill or an error at every system call on the data folder, SQLite's own calls included.

``make crash-test`` tries them all; ``make test`` a part, the same at each run.
"""

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.conftest import TRIED
from tests.crash.tries import KINDS, Tries, Try
from tests.crash.worker import Worker

STRIDE = 211  # so that the part takes 25 seconds of one processor
MOST_TOLD = 5  # of the tries that were lost; their causes repeat

Record = Callable[[str, object], None]


@pytest.mark.crash
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_call(
    case: Case, kind: str, tmp_path: Path, worker: Worker, record_property: Record
) -> None:
    tries = Tries(case, tmp_path, worker)
    lost = _lost(tries, tries.of_kind(kind), case, kind, record_property)
    assert not lost


@pytest.mark.crash_cut
@pytest.mark.parametrize("case", CASES, ids=str)
def test_some_calls(case: Case, tmp_path: Path, worker: Worker, record_property: Record) -> None:
    tries = Tries(case, tmp_path, worker)
    offset = zlib.crc32(str(case).encode()) % STRIDE
    some = list(tries.of_kind(*KINDS))[offset::STRIDE]
    lost = _lost(tries, some, case, "some", record_property)
    assert not lost


def _lost(
    tries: Tries, attempts: Iterable[Try], case: Case, kind: str, record_property: Record
) -> str:
    """Check each, and tell of those that fail."""
    number, failures = 0, []
    for attempt in attempts:
        number += 1
        try:
            tries.check(attempt)
        except AssertionError as error:
            failures.append("\n".join([str(error), *getattr(error, "__notes__", ())]))
    record_property(TRIED, (case.verb, case.name, kind, number, len(failures)))
    return "\n\n".join(failures[:MOST_TOLD])
