"""
``kill -9`` at every step of staging, applying and discarding, and what the next start finds.

A child does the work and kills itself before, or after, its N-th durable step or SQLite
statement, for N from 1 until it comes to its end. The next start then runs in another process.
"""

import itertools
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.records.manifest import Manifest
from tests.backups import builders
from tests.backups.builders import READABLE, STATES
from tests.backups.stand_ins import Steps, counted, die, without_hard_links
from tests.backups.stores import Store
from tests.forks import is_killed

pytestmark = pytest.mark.proof

BEFORE, OLD, NEW, NEWER = ["before"], ["old"], ["new"], ["newer"]

Work = Callable[[Store], object]
Check = Callable[[Store, dict[str, bytes]], None]  # with the folder as it was before the work


# Applying


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("start", STATES)
def test_kill_at_each_step_of_applying_leaves_the_old_or_the_new_database(
    start: str, after: bool, tmp_path: Path
) -> None:
    template = _template(tmp_path, start, builders.healthy)
    points = _kill_at_each_step(template, Store.start, _check_apply(start), after=after)
    assert points >= (20 if start in READABLE else 14)


@pytest.mark.parametrize("start", ["hot WAL", "ruined"])
def test_kill_at_each_step_of_applying_without_hard_links(start: str, tmp_path: Path) -> None:
    def apply(store: Store) -> None:
        with without_hard_links():
            store.start()

    template = _template(tmp_path, start, builders.healthy)
    assert _kill_at_each_step(template, apply, _check_apply(start)) >= 25


@pytest.mark.parametrize("start", ["hot WAL", "missing"])
def test_kill_at_each_step_of_migrating_an_older_snapshot(start: str, tmp_path: Path) -> None:
    template = _template(tmp_path, start, builders.older)
    stride = 1 if start == "hot WAL" else 3
    assert _kill_at_each_step(template, Store.start, _check_apply(start), stride=stride) >= 35


def test_kill_at_each_step_of_the_start_that_repairs(tmp_path: Path) -> None:
    template = _template(tmp_path, "hot WAL", builders.healthy)
    for number in itertools.count(1):  # be killed at the first step after the rename
        is_killed(partial(_die_at, number, Store.start, template))
        if not template.paths.pending.exists():
            break
    assert template.paths.manifests(), "the kill came too late to leave anything to repair"

    assert _kill_at_each_step(template, Store.start, _check_apply("hot WAL")) >= 4


def test_kill_at_each_step_of_setting_aside_a_damaged_restore(tmp_path: Path) -> None:
    template = _template(tmp_path, "hot WAL", builders.healthy)
    with template.paths.pending.open("r+b") as pending:
        pending.write(b"scribbled")

    def check(store: Store, before: dict[str, bytes]) -> None:
        _next_start(store)
        assert store.items() == OLD
        assert [path.read_bytes()[:9] for path in store.refused()] == [b"scribbled"]
        assert not store.paths.pending.exists()
        assert not store.paths.manifests()
        assert not store.kept()
        assert not store.temporaries()

    assert _kill_at_each_step(template, Store.start, check) >= 8


def test_kill_at_each_step_of_an_apply_that_removes_kept_copies(tmp_path: Path) -> None:
    template = _template(tmp_path, "clean", builders.healthy)
    old = [template.paths.pre_restore(datetime(2020, 1, day, tzinfo=UTC)) for day in (1, 2, 3)]
    for number, kept in enumerate(old):
        builders.healthy(kept, str(number))

    def apply(store: Store) -> None:
        store.kept_copies, store.kept_days = 2, 7
        store.start()

    def check(store: Store, before: dict[str, bytes]) -> None:
        named = [name for receipt in store.receipts() for name in receipt.get("removed", ())]
        gone = [kept.name for kept in old if not (store.paths.folder / kept.name).exists()]
        assert set(gone) <= set(named) <= {old[0].name, old[1].name}
        _next_start(store)
        assert store.items() == NEW
        assert [builders.names(kept) for kept in store.kept()][-2:] == [["2"], OLD]
        assert not store.temporaries()

    assert _kill_at_each_step(template, apply, check) >= 20


@pytest.mark.parametrize(
    ("years", "after"), [((2050, 2001, 2030), False), ((2001, 2050, 2000), True)]
)
def test_kill_at_each_step_when_the_clock_has_moved(
    years: tuple[int, int, int], after: bool, tmp_path: Path
) -> None:
    """The first restore, the second, which is killed, and the start after that."""
    first, second, third = years
    template = _empty_template(tmp_path)
    builders.hot_wal(template.database, *BEFORE)
    template.stage(builders.healthy(tmp_path / "first.db", *OLD))
    _start_in(first)(template)
    template.stage(builders.healthy(tmp_path / "second.db", *NEW))

    def check(store: Store, before: dict[str, bytes]) -> None:
        _start_in(third)(store)
        assert store.items() == NEW
        assert store.outcomes().count("applied") == 2
        listed = [store.paths.folder / copy.name for copy in store.real.list_kept_copies()]
        assert [builders.names(kept) for kept in listed] == [OLD, BEFORE]
        store.real.stage_kept_copy(staged_by="tester")
        store.kept_copies = 2
        _start_in(second)(store)
        assert store.items() == OLD
        left = [store.paths.folder / copy.name for copy in store.real.list_kept_copies()]
        assert [builders.names(kept) for kept in left] == [NEW, OLD], "the oldest one goes"
        assert builders.journal_mode(store.database) == "wal"

    assert _kill_at_each_step(template, _start_in(second), check, after=after) >= 20


def _start_in(year: int) -> Work:
    """A start by a clock that tells this year."""

    def start(store: Store) -> None:
        with (
            mock.patch("backups.sqlite.restores.apply_at_start.datetime") as applies,
            mock.patch("backups.sqlite.restores.conclude.datetime") as repairs,
        ):
            moment = datetime(year, 1, 1, tzinfo=UTC)
            applies.now.return_value = repairs.now.return_value = moment
            store.start()

    return start


def _check_apply(start: str) -> Check:
    def check(store: Store, before: dict[str, bytes]) -> None:
        if not store.paths.pending.exists():
            assert _items_of_a_copy(store) == NEW
        else:
            _check_pending_is_whole(store)
            if start in READABLE:
                assert _items_of_a_copy(store) == OLD

        _next_start(store)
        assert store.items() == NEW
        assert os.stat(store.database).st_nlink == 1
        _check_old_rows_are_kept(store, start, before)
        staged, receipt = store.receipts()
        assert (staged["outcome"], receipt["outcome"]) == ("staged", "applied")
        assert receipt["kept"] == (store.kept()[-1].name if store.kept() else None)
        assert store.listing() == {
            "tasks.db",
            "tasks.db.restore-receipts.jsonl",
            *(kept.name for kept in store.kept()),
        }

    return check


def _check_old_rows_are_kept(store: Store, start: str, before: dict[str, bytes]) -> None:
    if start in READABLE:
        assert OLD in [builders.names(kept) for kept in store.kept()]
        return
    raw_sets = [builders.folder(kept) for kept in store.kept()]
    for path in (store.database, *store.paths.sidecars):
        if content := before.get(path.name):
            assert content in [raw.get(path.name) for raw in raw_sets], f"{path} was not kept"
    if start in ("missing", "zero bytes"):
        assert not raw_sets


# Staging and discarding


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("pending", ["nothing", "another", "the same"])
def test_kill_at_each_step_of_staging_leaves_the_old_or_the_new_restore_or_none(
    pending: str, after: bool, tmp_path: Path
) -> None:
    snapshot = builders.healthy(tmp_path / "newer.db", *NEWER)
    template = _empty_template(tmp_path)
    builders.healthy(template.database, *OLD)
    if pending == "another":
        template.stage(builders.healthy(tmp_path / "new.db", *NEW))
    elif pending == "the same":
        template.stage(snapshot)
    possible = {"nothing": [OLD, NEWER], "another": [NEW, NEWER], "the same": [NEWER]}[pending]

    def check(store: Store, before: dict[str, bytes]) -> None:
        assert store.database.read_bytes() == before["tasks.db"]
        if store.paths.pending.exists():
            _check_pending_is_whole(store)
        else:
            assert pending == "nothing"
        _next_start(store)
        assert store.items() in possible
        assert not store.refused()
        assert not store.temporaries()
        assert not store.paths.manifests()

    points = _kill_at_each_step(template, lambda store: store.stage(snapshot), check, after=after)
    assert points >= 20


def test_kill_at_each_step_of_discarding_leaves_all_or_nothing(tmp_path: Path) -> None:
    def check(store: Store, before: dict[str, bytes]) -> None:
        assert store.database.read_bytes() == before["tasks.db"]
        was_discarded = not store.paths.pending.exists()
        if not was_discarded:
            _check_pending_is_whole(store)
        _next_start(store)
        assert store.items() == (OLD if was_discarded else NEW)
        assert not store.paths.manifests()

    template = _template(tmp_path, "clean", builders.healthy)
    discard: Work = lambda store: store.real.discard_pending_restore(discarded_by="tester")  # noqa: E731
    assert _kill_at_each_step(template, discard, check) >= 4


# The harness


def _empty_template(tmp_path: Path) -> Store:
    (tmp_path / "template").mkdir()
    return Store(tmp_path / "template" / "tasks.db")


def _template(tmp_path: Path, start: str, snapshot: Callable[..., Path]) -> Store:
    """A live database in this state, and a pending restore, to be copied for each kill."""
    template = _empty_template(tmp_path)
    template.stage(snapshot(tmp_path / "snapshot.db", *NEW))
    STATES[start](template.database)
    return template


def _kill_at_each_step(
    template: Store, work: Work, check: Check, *, after: bool = False, stride: int = 1
) -> int:
    """Do the work on a fresh copy for each kill, then check. Returns how many steps there are."""
    before = template.folder()
    for number in itertools.count(1, stride):
        folder = template.paths.folder.with_name("killed")
        shutil.copytree(template.paths.folder, folder)
        store = Store(folder / "tasks.db")
        was_killed = is_killed(partial(_die_at, number, work, store, after=after))
        try:
            check(store, before)
        except BaseException as error:
            error.add_note(f"killed {'after' if after else 'before'} step {number}")
            raise
        shutil.rmtree(folder)
        if not was_killed:
            return number - 1
    raise AssertionError


def _die_at(number: int, work: Work, store: Store, *, after: bool = False) -> None:
    with counted(Steps(die, at=number, after=after)):
        work(store)


def _next_start(store: Store) -> None:
    assert not is_killed(store.start)


def _items_of_a_copy(store: Store) -> list[str]:
    """What is in the live database, without opening it: that would recover it."""
    copy = store.paths.folder.with_name("copy")
    shutil.copytree(store.paths.folder, copy)
    try:
        return builders.names(copy / "tasks.db")
    finally:
        shutil.rmtree(copy)


def _check_pending_is_whole(store: Store) -> None:
    sha256 = files.sha256(store.paths.pending)
    manifest = Manifest.read(store.paths.manifest(sha256))
    assert manifest is not None, "the pending file has no manifest"
    assert (manifest.sha256, manifest.size) == (sha256, store.paths.pending.stat().st_size)
    status = store.real.get_status()
    assert status.pending is not None
    assert status.pending.sha256 == manifest.snapshot_sha256
