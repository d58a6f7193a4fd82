"""The harness itself: it misses nothing that a careless restore loses, and knows when it misses."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.strace import Call
from tests.crash.tries import KILLS, MissedPointError, Tries, Try
from tests.crash.worker import Worker

pytestmark = pytest.mark.crash_cut


@pytest.fixture
def tries(tmp_path: Path, worker: Worker) -> Tries:
    return Tries(_case("start, hot WAL"), tmp_path, worker)


def test_points_are_all_that_can_change_the_folder(tries: Tries) -> None:
    names = {attempt.call.name for attempt in tries.of_kind("killed before")}
    assert {"openat", "pwrite64", "fsync", "linkat", "rename", "unlink"} <= names
    targets = {attempt.call.target for attempt in tries.of_kind("killed before")}
    assert "/tasks.db.pending-restore, /tasks.db" in targets
    assert "/tasks.db-wal" in targets, "SQLite's own calls are points too"


@pytest.mark.parametrize("kind", [*KILLS, "EIO"])
def test_point_that_is_not_met_fails(tries: Tries, kind: str) -> None:
    rename = _rename(tries)
    for wrong in (replace(rename, number=99), replace(rename, target="/elsewhere")):
        with pytest.raises(MissedPointError):
            tries.check(Try(kind, wrong))


def test_kill_falls_before_or_after_the_call(tries: Tries) -> None:
    rename = _rename(tries)
    for kind, is_done in (("killed before", False), ("killed after", True)):
        place, _ = tries.stop(Try(kind, rename))
        assert place.store.paths.pending.exists() != is_done


@pytest.mark.parametrize(
    ("case", "verb", "found"),
    [
        ("start, hot WAL", "move in", "the old rows are lost"),
        ("start, clean", "move aside", "neither the old nor the new"),
        ("stage, nothing is pending", "stage in place", "not the file that was staged"),
    ],
)
def test_careless_verb_is_found_out(
    case: str, verb: str, found: str, tmp_path: Path, worker: Worker
) -> None:
    careless = replace(_case(case), verb=verb)
    with pytest.raises(AssertionError, match=found):
        _check_kills(Tries(careless, tmp_path, worker))


def _check_kills(tries: Tries) -> None:
    for attempt in tries.of_kind(*KILLS):
        tries.check(attempt)


def _rename(tries: Tries) -> Call:
    """The one that commits an apply: the manifest has one of its own."""
    calls = (attempt.call for attempt in tries.of_kind("killed before"))
    return next(each for each in calls if each.target == "/tasks.db.pending-restore, /tasks.db")


def _case(name: str) -> Case:
    return next(case for case in CASES if str(case) == name)
