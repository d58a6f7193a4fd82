"""
``kill -9`` at every statement of what a store does, and what the next start finds.

For each kill the databases are as they were before the work. The next start runs in another
process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backups.builders import MIGRATIONS
from tests.backups.stores import MAX_BYTES
from tests.forks import in_child
from tests.postgres.kills.claims import After, check
from tests.postgres.kills.place import Place
from tests.postgres.kills.statements import count, kill_at, moments
from tests.postgres.kills.traces import wait_for_the_end_of_sessions
from tests.postgres.server import Server
from tests.postgres.stores import Store, make_content, new_snapshot, new_store

pytestmark = pytest.mark.postgres

OLD, NEW, NEWER, OLDER, NOTHING = "old", "new", "newer", "older", ""

Work = Callable[[Store, "Snapshots"], object]
Snapshots = Mapping[str, bytes]  # by their labels


@dataclass(frozen=True)
class Case:
    """What is done, and what may be live and pending after a kill, with the new receipts then."""

    work: Work
    after: After
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


@pytest.mark.timeout(1800)
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
    for moment in moments(statements):
        place.put_back()
        kill_at(moment, lambda: case.work(store, snapshots))
        wait_for_the_end_of_sessions(store)
        try:
            ends.add(check(store, case.after, before, case.next_start))
        except BaseException as error:
            error.add_note(f"killed {moment}, in {statements}")
            raise
    place.drop()
    assert ends == set(case.after), "nothing was killed late, or nothing early"
