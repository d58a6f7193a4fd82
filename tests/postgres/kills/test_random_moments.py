"""
Restores under writers, killed at random moments: no committed row is lost, and none is mixed.

POSTGRES_TRIES=200 makes so many of them.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backups.exceptions import NoPendingRestoreError
from tests.postgres.kills.statements import in_child
from tests.postgres.kills.traces import wait_for_the_end_of_sessions
from tests.postgres.kills.writers import writing
from tests.postgres.server import Server
from tests.postgres.stores import Store, drop_all, new_snapshot, new_store

pytestmark = pytest.mark.postgres

TRIES = int(os.environ.get("POSTGRES_TRIES", "10"))
LABELS = ("old", "new")  # of what is live, after an even and after an odd number of restores
LATE = 1.2  # a kill comes at most so much later than the work takes


@pytest.fixture
def store(postgres: Server, tmp_path: Path) -> Iterator[Store]:
    """One that has restored twice already, and keeps all that it replaces."""
    made = new_store(postgres, tmp_path / "machine", "old")
    made.kept_copies = 0
    made.stage(new_snapshot(postgres, tmp_path / "other"))
    made.apply_now()
    yield made
    made.drop()


def by_a_start(store: Store) -> None:
    """Try to apply it at a start until nobody is connected."""
    while not (receipt := store.start()) or receipt.outcome == "blocked":
        pass


def at_once(store: Store) -> None:
    """Apply it while the writers are connected."""
    store.apply_now()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("apply", [by_a_start, at_once])
def test_no_row_is_lost_nor_mixed(
    apply: Callable[[Store], None], store: Store, tmp_path: Path
) -> None:
    """Each try puts back what the last restore has replaced."""

    def undo() -> None:
        store.real.sweep()
        if store.real.get_status().pending is None:
            store.undo()
        with suppress(NoPendingRestoreError):  # the server was about to, for the one before
            apply(store)

    with writing(store, tmp_path) as writers:
        seen = set[str]()
        began = time.monotonic()
        assert in_child(undo) == 0
        longest = LATE * (time.monotonic() - began)
        killed = applied = 0
        for _ in range(TRIES):
            before = store.outcomes().count("applied")
            killed += _kill_after(random.uniform(0, longest), undo)
            writers.wait_for_more()
            applied += store.outcomes().count("applied") - before
            seen |= _look(store)
        print(f"{TRIES} tries, {killed} killed, {applied} applied", len(writers.acknowledged()))
    wait_for_the_end_of_sessions(store)
    seen |= _look(store)
    lost = writers.acknowledged() - seen
    assert not lost, f"{len(lost)} of {len(writers.acknowledged())} rows are lost"
    assert in_child(store.start) == 0
    assert store.temporaries() == []
    assert store.pending() is None


def _kill_after(seconds: float, work: Callable[[], object]) -> bool:
    """Kill a process that does this after so many seconds, if it has not ended."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)  # the moment of the kill is what is tried
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _look(store: Store) -> set[str]:
    """
    Every row that is live or kept. Each database is whole, and what the receipts say is live. Of
    the kept ones only the last stays, to be put back.
    """
    while True:  # a killed process may just be applied by the server
        applied = [each for each in store.receipts() if each.outcome == "applied"]
        live, notes = store.label(), store.notes()
        if [each for each in store.receipts() if each.outcome == "applied"] == applied:
            break
    assert live == LABELS[len(applied) % 2]
    for name in store.kept():
        assert store.label(name) in LABELS
        notes |= store.notes(name)
    drop_all(store.server, set(store.kept()) - {applied[-1].kept})
    assert store.kept() == [applied[-1].kept]
    return notes
