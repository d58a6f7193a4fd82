"""The harness itself: it misses nothing that a careless restore loses, and knows when it misses."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.strace import Call
from tests.crash.tries import KILLS, MissedPointError, Tries, Try
from tests.crash.worker import Worker

pytestmark = pytest.mark.crash_cut

HOT_WAL = next(case for case in CASES if str(case) == "start, hot WAL")


@pytest.fixture
def tries(tmp_path: Path, worker: Worker) -> Tries:
    return Tries(HOT_WAL, tmp_path, worker)


def test_points_are_all_that_can_change_the_folder(tries: Tries) -> None:
    names = {attempt.call.name for attempt in tries.of_kind("killed before")}
    assert {"openat", "pwrite64", "fsync", "fdatasync", "linkat", "rename", "unlink"} <= names
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
    for kind, is_pending in (("killed before", True), ("killed after", False)):
        tries.check(Try(kind, rename))
        assert tries.was_pending_after_fault == is_pending


@pytest.mark.parametrize("verb", ["careless start", "hasty start"])
def test_careless_restore_is_found_out(verb: str, tmp_path: Path, worker: Worker) -> None:
    careless: Case = replace(HOT_WAL, verb=verb)
    with pytest.raises(AssertionError, match="the old rows are lost"):
        _check_all(Tries(careless, tmp_path, worker))


def _check_all(tries: Tries) -> None:
    for attempt in tries.of_kind(*KILLS):
        tries.check(attempt)


def _rename(tries: Tries) -> Call:
    return next(a.call for a in tries.of_kind("killed before") if a.call.name == "rename")
