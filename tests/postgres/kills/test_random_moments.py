"""
Restores under writers, killed at random moments: no committed row is lost, and none is mixed.

POSTGRES_TRIES=200 makes so many of them.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from backups.exceptions import BackupError
from tests.forks import in_child
from tests.postgres.kills.traces import wait_for_the_end_of_sessions, wait_for_the_end_of_work
from tests.postgres.kills.writers import writing
from tests.postgres.server import Server
from tests.postgres.stores import Store, drop_all, new_snapshot, new_store

pytestmark = pytest.mark.postgres

TRIES = int(os.environ.get("POSTGRES_TRIES", "10"))
LABELS = ("old", "new")  # of what is live, after an even and after an odd number of restores
LATE = 1.2  # a kill comes at most so much later than the work takes
MOST_SECONDS = 8.0  # but no later: on a busy machine a start tries for a minute


def by_a_start(store: Store) -> None:
    """Try to apply it at a start until nobody is connected."""
    while not (receipt := store.start()) or receipt.outcome == "blocked":
        pass


def at_once(store: Store) -> None:
    """Apply it while the writers are connected."""
    store.apply_now()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("apply", [by_a_start, at_once])
def test_no_row_is_lost_nor_mixed_where_a_process_is_killed(
    apply: Callable[[Store], None], postgres: Server, tmp_path: Path
) -> None:
    store = _store(postgres, tmp_path)
    _try_often(store, apply, tmp_path, tries=TRIES, kill=lambda pid: os.kill(pid, signal.SIGKILL))
    store.drop()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("apply", [by_a_start, at_once])
def test_no_row_is_lost_nor_mixed_where_the_server_is_killed(
    apply: Callable[[Store], None], own_postgres: Server, tmp_path: Path
) -> None:
    def kill(pid: int) -> None:
        own_postgres.kill()
        own_postgres.start()

    _try_often(_store(own_postgres, tmp_path), apply, tmp_path, tries=-(-TRIES // 5), kill=kill)


def _store(server: Server, folder: Path) -> Store:
    """One that has restored already, and keeps all that it replaces."""
    made = new_store(server, folder / "machine", "old")
    made.kept_copies = 0
    made.stage(new_snapshot(server, folder / "other"))
    made.apply_now()
    return made


def _try_often(
    store: Store,
    apply: Callable[[Store], None],
    folder: Path,
    *,
    tries: int,
    kill: Callable[[int], None],
) -> None:
    """Each try puts back what the last restore has replaced."""

    def undo() -> None:
        with suppress(BackupError):  # the server is gone; or it has applied what one before had
            store.real.sweep()
            if store.real.get_status().pending is None:
                store.undo()
            apply(store)

    with writing(store, folder) as writers:
        seen = set[str]()
        began = time.monotonic()
        assert in_child(undo) == 0
        longest = min(LATE * (time.monotonic() - began), MOST_SECONDS)
        before = store.outcomes().count("applied")
        killed = 0
        for _ in range(tries):
            killed += _kill_after(random.uniform(0, longest), undo, kill)
            writers.wait_for_more()
            wait_for_the_end_of_work(store)
            seen |= _look(store)
        applied = store.outcomes().count("applied") - before
    wait_for_the_end_of_sessions(store)
    seen |= _look(store)
    acknowledged = writers.acknowledged()
    print(f"{tries} tries: {killed} killed, {applied} applied, {len(acknowledged)} rows")
    assert not acknowledged - seen, f"{len(acknowledged - seen)} rows are lost"
    assert in_child(store.start) == 0
    assert store.temporaries() == []
    assert store.pending() is None


def _kill_after(seconds: float, work: Callable[[], object], kill: Callable[[int], None]) -> bool:
    """Begin this in a process, and kill after so many seconds. Whether it had not ended."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)  # the moment of the kill is what is tried
    was_at_work = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    kill(pid)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return was_at_work


def _look(store: Store) -> set[str]:
    """
    Every row that is live or kept. Each database is whole, and what the receipts say is live. Of
    the kept ones only the last stays, to be put back.
    """
    applied = [each for each in store.receipts() if each.outcome == "applied"]
    notes = store.notes()
    assert store.label() == LABELS[len(applied) % 2]
    for name in store.kept():
        assert store.label(name) in LABELS
        notes |= store.notes(name)
    drop_all(store.server, set(store.kept()) - {applied[-1].kept})
    assert store.kept() == [applied[-1].kept]
    return notes
