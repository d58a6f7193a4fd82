"""Power cuts after each change of a file or a name: the next start has the old or the new."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backups import builders
from tests.backups.builders import READABLE, STATES
from tests.backups.stores import Store
from tests.crash.power import Replay, record, survivors

OLD, NEW, NEWER, BEFORE = ["old"], ["new"], ["newer"], ["before"]

MOUNTED = (
    "from tests.backups.stand_ins import mount_point;"
    " mounted = mount_point(); mounted.__enter__(); "
)


@dataclass(frozen=True)
class Verb:
    """What a process does, and what the next start may find."""

    program: str
    after: tuple[list[str], ...]  # and the old, if ``or_old``
    or_old: bool = False
    snapshot: Callable[..., Path] = builders.healthy
    live: tuple[str, ...] = tuple(STATES)


VERBS = {
    "stage": Verb("store.stage(Path('newer.db'))", (NEW, NEWER)),
    "discard": Verb("store.real.discard_pending_restore(discarded_by='x')", (NEW,), or_old=True),
    "undo": Verb("store.real.stage_kept_copy(staged_by='x')", (NEW, BEFORE)),
    "apply": Verb("store.start()", (NEW,)),
    "apply, migrating": Verb("store.start()", (NEW,), snapshot=builders.older),
    "apply, mounted": Verb(
        MOUNTED + "store.start()", (NEW,), live=(*READABLE, "zero bytes", "ruined")
    ),
    "apply now": Verb("store.real.apply_now(applied_by='x')", (NEW,), live=READABLE),
}
EVERY = [(verb, live) for verb in VERBS for live in VERBS[verb].live]
SOME = [("apply", "hot WAL"), ("apply now", "hot WAL"), ("stage", "clean WAL")]


@pytest.mark.crash
@pytest.mark.parametrize(("verb", "live"), EVERY)
def test_power_cut(
    verb: str, live: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("points", cut_everywhere(tmp_path, VERBS[verb], live, stride=1))


@pytest.mark.crash_cut
@pytest.mark.parametrize(("verb", "live"), SOME)
def test_some_power_cuts(verb: str, live: str, tmp_path: Path) -> None:
    assert cut_everywhere(tmp_path, VERBS[verb], live, stride=5) >= 8


def cut_everywhere(tmp_path: Path, verb: Verb, live: str, *, stride: int) -> int:
    """Cut the power after each of the changes that the verb makes. Returns how often."""
    store = Store(tmp_path / "data" / "tasks.db")
    store.paths.folder.mkdir()
    if "kept_copy" in verb.program:
        undo_is_possible(store, tmp_path)
    STATES[live](store.database)
    store.stage(verb.snapshot(tmp_path / "new.db", *NEW))
    newer = builders.healthy(tmp_path / "newer.db", *NEWER)
    before = tmp_path / "before"
    shutil.copytree(store.paths.folder, before)
    record(store.paths.folder, tmp_path / "log", verb.program.replace("newer.db", str(newer)))

    # The log names the folder, and begins with it as it was.
    shutil.rmtree(store.paths.folder)
    shutil.copytree(before, store.paths.folder)
    replay = Replay(tmp_path / "log", store.paths.folder)
    points = 0
    for number, step in enumerate(replay.steps()):
        if number % stride:
            continue
        for survive, keep in survivors(number):
            folder = tmp_path / "cut"
            replay.disk.lay_out(folder, keep)
            try:
                check(Store(folder / "tasks.db"), verb, live, builders.folder(before))
            except BaseException as error:
                error.add_note(f"power cut after change {number}, {step}; survived: {survive}")
                raise
            shutil.rmtree(folder)
            points += 1
    return points


def undo_is_possible(store: Store, tmp_path: Path) -> None:
    """A restore was applied before: its kept copy has 'before'."""
    builders.healthy(store.database, *BEFORE)
    store.stage(builders.healthy(tmp_path / "earlier.db", "earlier"))
    store.start()
    store.database.unlink()


def check(store: Store, verb: Verb, live: str, before: dict[str, bytes]) -> None:
    """What the next start makes of it, and the one after that."""
    store.start()
    was_applied = store.outcomes()[-1:] == ["applied"]
    if verb.or_old and not was_applied:
        assert live not in READABLE or store.items() == OLD
    else:
        assert was_applied
        assert store.items() in verb.after
        check_old_rows(store, live, before)
    assert store.temporaries() == []
    assert store.refused() == []
    assert not store.paths.pending.exists()
    assert not store.paths.manifests()
    found = store.folder()
    assert store.start() is None
    assert store.folder() == found


def check_old_rows(store: Store, live: str, before: dict[str, bytes]) -> None:
    """They are in a kept copy: as rows, or as bytes where SQLite could not read them."""
    if live in READABLE:
        assert OLD in [builders.names(kept) for kept in store.kept() if kept.is_file()]
        return
    raw = [builders.folder(kept) for kept in store.kept() if kept.is_dir()]
    for path in (store.database, *store.paths.sidecars):
        if content := before.get(path.name):
            assert content in [each.get(path.name) for each in raw], f"{path.name} was not kept"
