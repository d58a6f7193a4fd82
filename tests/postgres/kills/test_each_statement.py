"""
``kill -9`` at every statement of what a store does, and what the next start finds.

For each kill the databases are as they were before the work. The next start runs in another
process.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backups.builders import MIGRATIONS
from tests.postgres.kills.place import Place
from tests.postgres.kills.statements import HOW, ON_FILES, count, in_child, kill_at
from tests.postgres.kills.traces import wait_for_the_end_of_sessions
from tests.postgres.server import Server
from tests.postgres.stores import MAX_BYTES, Store, make_content, new_snapshot, new_store

pytestmark = pytest.mark.postgres

EVERY = "POSTGRES_KILLS" in os.environ  # takes some minutes for each version
OLD, NEW, NEWER, OLDER, NOTHING = "old", "new", "newer", "older", ""
State = tuple[str, str]  # the labels of what is live and what is pending
# What changes something on the server, so that it matters whether the answer has come.
WRITES = (
    "CREATE",
    "ALTER",
    "DROP",
    "INSERT",
    "DELETE",
    "COMMENT",
    "SELECT pg_terminate",
    "_exit",
    *ON_FILES,
)

Work = Callable[[Store, "Snapshots"], object]
Snapshots = Mapping[str, bytes]  # by their labels


@dataclass(frozen=True)
class Case:
    """What is done, and what may be live and pending after a kill, with the new receipts then."""

    work: Work
    after: Mapping[State, tuple[str, ...]]
    prepare: Work = lambda store, _: None  # before any of it
    next_start: tuple[str, ...] = ("applied",)  # the receipts, if anything is pending
    change: Mapping[str, object] = field(default_factory=dict)  # of the store


def stage(label: str) -> Work:
    """Stage a snapshot."""
    return lambda store, snapshots: store.stage(snapshots[label])


def stage_by_an_older_release(store: Store, snapshots: Snapshots) -> None:
    """Stage a snapshot that was complete then."""
    store.site.known = MIGRATIONS[:1]
    store.stage(snapshots[OLDER])
    store.site.known = MIGRATIONS


def stage_with_the_failure_to_come(store: Store, snapshots: Snapshots) -> None:
    """Stage it, and let its migration fail from then on."""
    stage_by_an_older_release(store, snapshots)
    store.site.fails = True


def restore(store: Store, snapshots: Snapshots) -> None:
    """Restore a snapshot, so that there is something to undo."""
    store.stage(snapshots[NEW])
    assert in_child(store.start) == 0


def stage_undo(store: Store, snapshots: Snapshots) -> None:
    """Restore a snapshot, and begin to undo that."""
    restore(store, snapshots)
    store.undo()


def stage_with_kept_ones(store: Store, snapshots: Snapshots) -> None:
    """Have two old databases that the next restore drops."""
    for day in ("01", "02"):
        make_content(store, f"kept {day}", f"{store.names.stem}_pre_restore_202001{day}-000000")
    store.stage(snapshots[NEW])


def start(store: Store, _: Snapshots) -> None:
    """Start a process of the site."""
    store.start()


CASES = {
    "the first stage of all": Case(stage(NEWER), {(OLD, NOTHING): (), (OLD, NEWER): ("staged",)}),
    "stage": Case(
        stage(NEWER),
        {(OLD, NOTHING): (), (OLD, NEWER): ("staged",)},
        prepare=start,
    ),
    "stage what must be migrated": Case(
        stage(OLDER), {(OLD, NEW): (), (OLD, OLDER): ("staged",)}, prepare=stage(NEW)
    ),
    "stage another": Case(
        stage(NEWER), {(OLD, NEW): (), (OLD, NEWER): ("staged",)}, prepare=stage(NEW)
    ),
    "discard": Case(
        lambda store, _: store.real.discard_pending_restore(discarded_by="tester"),
        {(OLD, NEW): (), (OLD, NOTHING): ("discarded",)},
        prepare=stage(NEW),
    ),
    "prove": Case(
        lambda store, snapshots: store.real.prove([snapshots[NEWER]], max_bytes=MAX_BYTES),
        {(OLD, NEW): ()},
        prepare=stage(NEW),
    ),
    "apply at start": Case(
        start, {(OLD, NEW): (), (NEW, NOTHING): ("applied",)}, prepare=stage(NEW)
    ),
    "apply at start, with kept ones to drop": Case(
        start,
        {(OLD, NEW): (), (NEW, NOTHING): ("applied",)},
        prepare=stage_with_kept_ones,
        change={"kept_copies": 2},
    ),
    "migrate and apply at start": Case(
        start,
        {(OLD, OLDER): (), (OLDER, NOTHING): ("applied",)},
        prepare=stage_by_an_older_release,
    ),
    "set aside": Case(
        start,
        {(OLD, OLDER): (), (OLD, NOTHING): ("refused",)},
        prepare=stage_with_the_failure_to_come,
        next_start=("refused",),
    ),
    "apply now": Case(
        lambda store, _: store.apply_now(),
        {(OLD, NEW): (), (NEW, NOTHING): ("applied",)},
        prepare=stage(NEW),
    ),
    "migrate and apply now": Case(
        lambda store, _: store.apply_now(),
        {(OLD, OLDER): (), (OLDER, NOTHING): ("applied",)},
        prepare=stage_by_an_older_release,
    ),
    "stage an undo": Case(
        lambda store, _: store.undo(),
        {(NEW, NOTHING): (), (NEW, OLD): ("staged",)},
        prepare=restore,
    ),
    "apply an undo": Case(
        start, {(NEW, OLD): (), (OLD, NOTHING): ("applied",)}, prepare=stage_undo
    ),
}


@pytest.fixture(scope="module")
def snapshots(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    """A dump of each label; OLDER lacks a migration."""
    folder = tmp_path_factory.mktemp("snapshots")
    labels = (NEW, NEWER, OLDER)
    return {each: new_snapshot(postgres, folder, each, older=each == OLDER) for each in labels}


@pytest.mark.parametrize("name", CASES)
def test_kill_at_each_statement(
    name: str, postgres: Server, snapshots: Snapshots, tmp_path: Path
) -> None:
    case = CASES[name]
    store = new_store(postgres, tmp_path / "machine", OLD)
    for attribute, value in case.change.items():
        setattr(store, attribute, value)
    case.prepare(store, snapshots)
    before = store.outcomes()
    place = Place(store)
    statements = count(lambda: case.work(store, snapshots))
    ends = set()
    for number, how in _moments(statements):
        place.put_back()
        kill_at(number, how, lambda: case.work(store, snapshots))
        wait_for_the_end_of_sessions(store)
        try:
            ends.add(_check(store, case, before))
        except BaseException as error:
            error.add_note(f"killed {how} step {number}: {statements[number - 1]}")
            raise
    place.drop()
    assert ends == set(case.after), "nothing was killed late, or nothing early"


def _moments(statements: list[str]) -> list[tuple[int, str]]:
    """
    Before each of them, once it is sent, and once it is answered. What only reads leaves all as it
    was, so a kill at it is one after what came before: without EVERY these are left out.
    """
    return [
        (number, how)
        for number, words in enumerate(statements, 1)
        for how in HOW
        if EVERY or words.startswith(WRITES)
    ]


def _check(store: Store, case: Case, before: list[str]) -> State:
    """After the kill, and after the next start. Returns what it was after the kill."""
    state = _state(store)
    assert state in case.after
    assert store.outcomes() == [*before, *case.after[state]]
    _check_old_rows_are_kept(store)

    assert in_child(store.start) == 0
    wait_for_the_end_of_sessions(store)

    live, pending = state
    applied = pending and case.next_start == ("applied",)
    assert _state(store) == (pending if applied else live, NOTHING)
    receipts = [*before, *case.after[state], *(case.next_start if pending else ())]
    assert store.outcomes() == receipts
    _check_old_rows_are_kept(store)
    _check_nothing_else_is_there(store)
    return state


def _state(store: Store) -> State:
    pending = store.pending()
    status = store.real.get_status().pending
    assert (pending and pending.sha256) == (status and status.sha256)
    return store.label(), store.label(store.names.pending) if pending else NOTHING


def _check_old_rows_are_kept(store: Store) -> None:
    assert any(f"{OLD} 1" in store.notes(name) for name in (store.database, *store.kept()))


def _check_nothing_else_is_there(store: Store) -> None:
    assert store.temporaries() == []
    named = [each.kept for each in store.receipts() if each.kept]
    removed = [name for each in store.receipts() for name in each.removed]
    found = [each for each in store.databases() if each not in removed]
    assert found == store.databases(), "what a receipt says to be removed is there"
    own = {store.database, store.names.control}
    assert {*named} - {*removed} <= set(found) - own
    unnamed = set(found) - own - set(named)
    assert all("_pre_restore_2020" in each for each in unnamed)
