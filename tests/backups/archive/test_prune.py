"""Deleting stored snapshots from a real folder, beside a real database."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pytest_django import Settings

from backups import signals
from backups.archive import deletion, services
from backups.archive.catalog import Catalog
from backups.archive.folder_storage import FolderStorage
from backups.archive.manifest import SUFFIX
from backups.archive.storing import get_catalog
from backups.exceptions import (
    KeepError,
    NotDeletableError,
    NotStoredError,
    StorageError,
)
from backups.services import get_store
from tests.backups.archive.entries import HELD, found, put
from tests.backups.archive.refusing import (
    KeepsManifestsStorage,
    LosesAnswersStorage,
    RefusingStorage,
    SilentReplaceStorage,
    SilentStorage,
    WithoutReplaceStorage,
)
from tests.backups.archive.stored_in import store_in
from tests.backups.stand_ins import Steps, counted, die
from tests.forks import is_killed
from tests.site import Site

OLD, MIDDLE, NEW = "20260101-120000", "20260102-120000", "20260103-120000"


@pytest.fixture
def catalog(live: Site, settings: Settings) -> Catalog:
    """The archive of a live site, which keeps one snapshot."""
    settings.BACKUPS_KEEP = {"last": 1}
    return get_catalog()


@pytest.fixture
def three(catalog: Catalog) -> Catalog:
    """Three are stored, of which the rules keep the newest."""
    for each in (OLD, MIDDLE, NEW):
        put(catalog, each)
    return catalog


@pytest.fixture
def pruned() -> Iterator[list[dict[str, Any]]]:
    """What the signal says."""
    told: list[dict[str, Any]] = []

    def receive(signal: object, sender: object, **words: Any) -> None:
        told.append(words)

    signals.snapshots_pruned.connect(receive)
    yield told
    signals.snapshots_pruned.disconnect(receive)


def use(settings: Settings, storage: type[FolderStorage], folder: Path) -> Catalog:
    """Let the site store in such a storage."""
    store_in(settings, storage, location=folder)
    return get_catalog()


def ids(catalog: Catalog) -> list[str]:
    """What is stored, the newest first; each with its manifest."""
    snapshots = catalog.snapshots()
    assert all(each.manifest for each in snapshots)
    assert len(catalog.files.sizes()) == 2 * len(snapshots), "something else is there too"
    return [each.id for each in snapshots]


def outcomes(**options: Any) -> dict[str, tuple[str, ...]]:
    """Prune, and what became of each: its reasons, or "deleted", or the refusal."""
    return {
        each.snapshot.id: ("deleted",)
        if each.is_deleted
        else each.reasons
        if each.is_kept
        else (each.refusal,)
        for each in services.prune(by="alice", **options)
    }


@contextmanager
def used_by_another_process(site: Site, snapshot_id: str) -> Iterator[None]:
    """Another process restores or verifies it."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from backups.sqlite.folder.paths import StorePaths\n"
        "from backups.sqlite.locking.named_locks import named_lock\n"
        "with named_lock(StorePaths.of(Path(sys.argv[1])), sys.argv[2], wait=False):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(site.database), f"use {snapshot_id}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


# Prune


def test_prune_deletes_what_no_rule_keeps_and_tells(
    three: Catalog, pruned: list[dict[str, Any]]
) -> None:
    assert outcomes() == {
        NEW: ("last good one", "last 1"),
        MIDDLE: ("deleted",),
        OLD: ("deleted",),
    }
    assert ids(three) == [NEW]
    assert pruned == [{"database": None, "ids": (OLD, MIDDLE), "by": "alice"}]
    assert outcomes() == {NEW: ("last good one", "last 1")}
    assert len(pruned) == 1, "nothing was deleted, and nothing told"


def test_dry_run_says_the_same_and_deletes_nothing(
    three: Catalog, live: Site, pruned: list[dict[str, Any]]
) -> None:
    with used_by_another_process(live, OLD):
        verdicts = services.prune(by="alice", dry_run=True)
    assert [each.is_kept for each in verdicts] == [True, False, True]
    assert verdicts[1].reasons == ("no rule keeps it",)
    assert verdicts[2].reasons == ("in use",)
    assert not any(each.is_deleted for each in verdicts)
    assert ids(three) == [NEW, MIDDLE, OLD]
    assert pruned == []


def test_nothing_stored_is_nothing_to_prune(catalog: Catalog) -> None:
    assert services.prune(by="alice") == []


def test_wrong_rules_delete_nothing(three: Catalog, settings: Settings) -> None:
    settings.BACKUPS_KEEP = {"lst": 3}
    with pytest.raises(KeepError, match="'lst'"):
        services.prune(by="alice")
    assert len(ids(three)) == 3


def test_held_and_good_ones_stay(catalog: Catalog) -> None:
    put(catalog, OLD, hold=HELD)
    put(catalog, "20260101-130000")
    put(catalog, MIDDLE, verification=found("restorable"))
    put(catalog, NEW)
    outcomes()
    assert ids(catalog) == [NEW, MIDDLE, OLD]


def test_one_that_another_process_uses_stays_until_the_next_time(
    three: Catalog, live: Site
) -> None:
    with used_by_another_process(live, OLD):
        assert outcomes()[OLD] == ("in use",)
    assert ids(three) == [NEW, OLD]
    outcomes()
    assert ids(three) == [NEW]


@contextmanager
def after_the_look(does: Callable[[], object]) -> Iterator[None]:
    """Somebody does this once prune has listed what is stored."""
    look = Catalog.snapshots

    def snapshots(catalog: Catalog, **options: Any) -> Any:
        found = look(catalog, **options)
        patched.stop()
        does()
        return found

    patched = mock.patch.object(Catalog, "snapshots", snapshots)
    patched.start()
    yield
    patched.stop()


def test_one_that_was_held_after_the_look_stays(three: Catalog) -> None:
    with after_the_look(lambda: services.hold(OLD, by="bob")):
        assert outcomes()[OLD] == ("held",)
    assert ids(three) == [NEW, OLD]


def test_another_that_became_the_last_good_one_after_the_look_stays(three: Catalog) -> None:
    def damage_the_newest() -> None:
        (new,) = (each for each in three.snapshots() if each.id == NEW)
        three.change(new, lambda manifest: replace(manifest, verification=found("damaged")))

    with after_the_look(damage_the_newest):
        answer = outcomes()
    assert answer[MIDDLE] == ("last good one",)
    assert ids(three) == [NEW, MIDDLE]


def test_one_that_was_found_restorable_after_the_look_stays(three: Catalog) -> None:
    def verify() -> None:
        old = three.find(OLD)
        three.change(old, lambda manifest: replace(manifest, verification=found("restorable")))

    with after_the_look(verify):
        assert outcomes()[OLD] == ("last good one",)


def test_one_that_somebody_else_deleted_after_the_look_is_no_error(three: Catalog) -> None:
    with after_the_look(lambda: three.delete(three.find(OLD).name)):
        assert outcomes()[OLD] == ("somebody else has just deleted it",)
    assert ids(three) == [NEW]


def test_one_that_is_being_deleted_is_not_held_and_leaves_nothing(three: Catalog) -> None:
    """Hold waits for the deletion, and then does not write the manifest anew."""
    is_found, errors = threading.Event(), []
    find = Catalog.find

    def found_by_hold(*arguments: Any, **options: Any) -> Any:
        stored = find(*arguments, **options)
        is_found.set()
        return stored

    def hold() -> None:
        with pytest.raises(NotStoredError) as caught:
            services.hold(OLD, by="bob")
        errors.append(str(caught.value))

    holding = threading.Thread(target=hold)
    delete = Catalog.delete

    def delete_while_held(catalog: Catalog, name: str) -> None:
        if OLD in name:
            holding.start()
            assert is_found.wait(20)
        delete(catalog, name)

    with (
        mock.patch.object(Catalog, "find", found_by_hold),
        mock.patch.object(Catalog, "delete", delete_while_held),
    ):
        outcomes()
        holding.join()
    assert errors == [f"{OLD} has just been deleted."]
    assert ids(three) == [NEW]


def test_two_at_once_are_safe(catalog: Catalog, live: Site) -> None:
    for number in range(1, 30):
        put(catalog, f"202601{number:02}-120000")
    answers: list[dict[str, tuple[str, ...]]] = []
    threads = [threading.Thread(target=lambda: answers.append(outcomes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(catalog) == ["20260129-120000"]
    assert sorted(map(len, answers)) == [1, 1, 29], "the others have waited, and found nothing"


# A storage that refuses


def test_where_nothing_can_be_remembered_as_on_a_full_disk_room_is_made_all_the_same(
    three: Catalog, live: Site, pruned: list[dict[str, Any]]
) -> None:
    (live.data / "tasks.db.backups-state.json").mkdir()  # so that no file can get this name
    services.delete(OLD, by="tester")
    services.prune(by="tester")
    assert ids(three) == [NEW]
    assert services.list_missing() == []
    assert [told["ids"] for told in pruned] == [(OLD,), (MIDDLE,)]


def test_refused_deletion_is_said_and_no_error(
    live: Site, settings: Settings, tmp_path: Path, pruned: list[dict[str, Any]]
) -> None:
    catalog = use(settings, RefusingStorage, tmp_path / "far")
    settings.BACKUPS_KEEP = {"last": 1}
    put(catalog, OLD)
    put(catalog, NEW)
    (refusal,) = outcomes()[OLD]
    assert "AccessDenied: s3:DeleteObject" in refusal
    assert OLD in refusal
    assert ids(catalog) == [NEW, OLD]
    assert catalog.missing() == []
    assert not deletion.being_deleted(get_store())
    assert pruned == []
    with pytest.raises(StorageError, match="AccessDenied"):
        services.delete(OLD, by="alice")


def test_storage_that_refuses_each_is_not_asked_for_all(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    catalog = use(settings, RefusingStorage, tmp_path / "far")
    settings.BACKUPS_KEEP = {"last": 1}
    stored = [put(catalog, f"202601{number:02}-120000") for number in range(1, 20)]
    RefusingStorage.asked.clear()
    answer = outcomes()
    assert RefusingStorage.asked == [each.name for each in stored[:10]], "the oldest first"
    assert answer["20260111-120000"] == ("not tried, since the storage refused those before it",)
    assert len(ids(catalog)) == 19


def test_storage_that_keeps_the_file_and_says_nothing_is_found_out(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    catalog = use(settings, SilentStorage, tmp_path / "far")
    settings.BACKUPS_KEEP = {"last": 1}
    put(catalog, OLD)
    put(catalog, NEW)
    (refusal,) = outcomes()[OLD]
    assert "is still there" in refusal
    assert ids(catalog) == [NEW, OLD]


def test_file_that_went_without_its_manifest_is_not_reported_as_lost(
    live: Site, settings: Settings, tmp_path: Path, pruned: list[dict[str, Any]]
) -> None:
    catalog = use(settings, KeepsManifestsStorage, tmp_path / "far")
    settings.BACKUPS_KEEP = {"last": 1}
    old = put(catalog, OLD)
    put(catalog, NEW)
    (verdict,) = (each for each in services.prune(by="alice") if each.snapshot.id == OLD)
    assert verdict.is_deleted
    assert "locked until 2027" in verdict.refusal
    assert pruned == [{"database": None, "ids": (OLD,), "by": "alice"}]
    assert [each.id for each in catalog.snapshots()] == [NEW]
    assert catalog.missing() == []
    assert outcomes() == {NEW: ("last good one", "last 1")}, "it is tried again, and no error"
    use(settings, FolderStorage, tmp_path / "far")
    outcomes()
    assert catalog.files.size(old.name + SUFFIX) is None
    assert not deletion.being_deleted(get_store())


def test_answer_that_got_lost_is_a_deletion_all_the_same(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    catalog = use(settings, LosesAnswersStorage, tmp_path / "far")
    settings.BACKUPS_KEEP = {"last": 1}
    put(catalog, OLD)
    put(catalog, NEW)
    assert outcomes()[OLD] == ("deleted",)
    assert ids(catalog) == [NEW]


# Killed


def test_whenever_it_is_killed_nothing_seems_lost_and_the_next_one_finishes(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUPS_KEEP = {"last": 1}
    was_between = 0
    for step in range(1, 100):
        catalog = use(settings, FolderStorage, tmp_path / str(step))
        old, new = put(catalog, OLD), put(catalog, NEW)

        def prune(at: int = step) -> None:
            with counted(Steps(die, at=at)):
                services.prune(by="alice")

        was_killed = is_killed(prune)
        sizes = catalog.files.sizes()
        assert {new.name, new.name + SUFFIX} <= set(sizes)
        was_between += old.name not in sizes and old.name + SUFFIX in sizes
        assert catalog.missing() == []
        assert all(not each.problem for each in catalog.snapshots())
        services.prune(by="alice")
        assert ids(catalog) == [NEW]
        assert not deletion.being_deleted(get_store())
        if not was_killed:
            break
    assert not was_killed
    assert step > 8
    assert was_between >= 2


def test_deletion_that_had_not_begun_is_not_finished_if_the_snapshot_is_held_by_now(
    three: Catalog,
) -> None:
    with get_store().remember() as state:  # as a process that was killed has left it
        state[deletion.DELETING] = [three.find(OLD).name]
    services.hold(OLD, by="bob")
    assert outcomes()[OLD] == ("held",)
    assert ids(three) == [NEW, OLD]
    assert not deletion.being_deleted(get_store())


# Delete


def test_delete_removes_one_and_tells(three: Catalog, pruned: list[dict[str, Any]]) -> None:
    assert services.delete(OLD, by="alice").id == OLD
    assert ids(three) == [NEW, MIDDLE]
    assert pruned == [{"database": None, "ids": (OLD,), "by": "alice"}]


def test_delete_refuses_one_that_is_held(three: Catalog) -> None:
    services.hold(OLD, by="bob", reason="for the audit")
    with pytest.raises(NotDeletableError, match=r"held by bob \(for the audit\)") as caught:
        services.delete(OLD, by="alice", force=True)
    assert f"backups release {OLD}" in caught.value.hint
    services.release(OLD, by="bob")
    services.delete(OLD, by="alice")
    assert ids(three) == [NEW, MIDDLE]


def test_delete_refuses_one_in_use(three: Catalog, live: Site) -> None:
    with (
        used_by_another_process(live, OLD),
        pytest.raises(NotDeletableError, match="is being restored or verified"),
    ):
        services.delete(OLD, by="alice", force=True)
    assert len(ids(three)) == 3


def test_delete_takes_the_last_good_one_only_by_force(three: Catalog) -> None:
    with pytest.raises(NotDeletableError, match="last good one") as caught:
        services.delete("latest", by="alice")
    assert "--force" in caught.value.hint
    assert len(ids(three)) == 3
    services.delete("latest", by="alice", force=True)
    assert ids(three) == [MIDDLE, OLD]


def test_delete_takes_one_without_a_manifest(three: Catalog) -> None:
    three.files.delete(three.find(OLD).name + SUFFIX)
    assert outcomes()[OLD] == ("no manifest that can be read",)
    services.delete(OLD, by="alice")
    assert ids(three) == [NEW]


def test_delete_forgets_one_whose_file_got_lost(three: Catalog) -> None:
    services.hold(MIDDLE, by="bob")
    three.files.delete(three.find(OLD).name)
    outcomes()
    assert [name for name in three.missing() if OLD in name], "prune leaves the evidence"
    services.delete(OLD, by="alice")
    assert three.missing() == []
    three.files.delete(services.hold(MIDDLE, by="bob").name)
    services.delete(MIDDLE, by="alice")
    assert ids(three) == [NEW]
    with pytest.raises(NotStoredError):
        services.delete(OLD, by="alice")


# Hold


def test_hold_and_release_are_noted_in_the_manifest(three: Catalog) -> None:
    held = services.hold(OLD, by="bob", reason="for the audit")
    assert held.hold is not None
    assert (held.hold.by, held.hold.reason) == ("bob", "for the audit")
    assert three.find(OLD) == held
    assert services.release(OLD, by="bob").hold is None
    assert three.find(OLD).hold is None
    assert services.release(OLD, by="bob").hold is None, "once more does nothing"


def test_hold_of_one_without_a_manifest_says_so(three: Catalog) -> None:
    three.files.delete(three.find(OLD).name + SUFFIX)
    with pytest.raises(StorageError, match="has no readable manifest"):
        services.hold(OLD, by="bob")


@pytest.mark.parametrize("storage", [WithoutReplaceStorage, SilentReplaceStorage])
def test_storage_that_can_not_replace_says_so(
    storage: type[FolderStorage], live: Site, settings: Settings, tmp_path: Path
) -> None:
    catalog = use(settings, storage, tmp_path / "far")
    put(catalog, OLD)
    with pytest.raises(StorageError, match=f"{OLD} could not be held: ") as caught:
        services.hold(OLD, by="bob")
    assert "BACKUPS_KEEP" in caught.value.hint
    assert catalog.find(OLD).hold is None
