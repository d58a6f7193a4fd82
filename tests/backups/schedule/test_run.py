import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from backups import services, signals
from backups.archive import services as archive
from backups.archive.folder_storage import FolderStorage
from backups.archive.key_file import create_key_file
from backups.archive.manifest import Verification
from backups.archive.state import read_state
from backups.exceptions import BackupError, StorageError
from backups.notices import services as notices
from backups.schedule import attempts, run, steps
from backups.schedule.attempts import DONE, FAILED, UNDER_WAY
from backups.schedule.run import NOTHING_DUE, conclude_killed, note_overdue, run_due
from backups.store import BackupStore
from tests.backups.archive.stored_in import store_in
from tests.backups.uploads import add_tasks
from tests.site import Site

AT_THREE = datetime(2026, 7, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)
Told = list[tuple[str, ...]]


@pytest.fixture(autouse=True)
def archive_folder(live: Site, settings: Settings, tmp_path: Path) -> Path:
    settings.TIME_ZONE = "UTC"
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    folder = tmp_path / "archive"
    store_in(settings, location=folder)
    return folder


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What people are told, instead of telling them."""
    told: Told = []

    def teller(name: str) -> Any:
        return lambda *words, database=None: told.append((name, *map(str, words)))

    for name in ("began", "succeeded", "failed", "missed"):
        monkeypatch.setattr(notices, name, teller(name))
    return told


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which steps were taken, instead of verifying and pruning."""
    done: list[str] = []

    def verify(
        word: str, *, by: str, read_media: bool, database: str | None = None
    ) -> Verification:
        assert not read_media, "there may be very many, and each takes time"
        done.append("verify")
        return Verification(datetime.now(UTC), "restorable", "", 0.1, tables=2, rows=1000)

    def look(*, with_media: bool, database: str | None = None) -> list[str]:
        done.append("look at all" if with_media else "look")
        return []

    def prune(*, by: str, database: str | None = None) -> list[object]:
        done.append("prune")
        return []

    monkeypatch.setattr(archive, "verify", verify)
    monkeypatch.setattr(archive, "look", look)
    monkeypatch.setattr(archive, "prune", prune)
    return done


def failing(error: BaseException) -> Any:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def names(told: Told) -> list[str]:
    return [name for name, *_ in told]


def test_a_due_backup_is_stored_tried_and_told_once(told: Told) -> None:
    outcome = run_due(now=AT_THREE)
    assert outcome.what == DONE, outcome
    assert "restorable" in outcome.words
    [stored] = archive.list_snapshots()
    assert outcome.snapshot_id == stored.id
    assert stored.manifest is not None
    assert (stored.manifest.by, stored.manifest.schedule) == ("schedule", "0 3 * * *")
    state = read_state()
    assert (state.last_due, state.failures_total, state.verified_id) == (AT_THREE, 0, stored.id)
    assert state.looked_at is not None
    assert names(told) == ["began", "succeeded"]

    again = run_due(now=AT_THREE + DAY / 2)
    assert again.what == NOTHING_DUE
    assert again.words == "Nothing is due before 2026-07-02 03:00."
    assert names(told) == ["began", "succeeded"]
    assert len(archive.list_snapshots()) == 1


def test_force_does_it_though_nothing_is_due(done: list[str]) -> None:
    assert run_due(now=AT_THREE).what == DONE
    assert run_due(now=AT_THREE, force=True).what == DONE
    assert read_state().successes_total == 2


def test_without_a_schedule_each_call_is_a_run(settings: Settings, done: list[str]) -> None:
    settings.BACKUPS_SCHEDULE = ""
    assert [run_due(now=AT_THREE).what for _ in range(2)] == [DONE, DONE]
    assert read_state().last_due is None


def test_two_runs_never_overlap() -> None:
    with services.get_store().lock("run"):
        assert run_due(now=AT_THREE).what == UNDER_WAY
    assert read_state().last_run is None


def test_missed_runs_are_counted_told_and_caught_up_once(done: list[str], told: Told) -> None:
    run_due(now=AT_THREE)
    told.clear()
    late = run_due(now=AT_THREE + 3 * DAY + DAY / 2)
    assert late.what == DONE
    state = read_state()
    assert (state.missed_total, state.last_missed) == (3, AT_THREE + 3 * DAY)
    assert state.successes_total == 2
    assert told[0] == ("missed", str(AT_THREE + 3 * DAY))
    assert names(told) == ["missed", "began", "succeeded"]
    assert run_due(now=AT_THREE + 3 * DAY + DAY / 2).what == NOTHING_DUE


def test_a_run_that_lets_due_times_pass_has_them_told_while_it_is_under_way(
    done: list[str], told: Told
) -> None:
    run_due(now=AT_THREE)
    told.clear()
    for _ in range(2):
        note_overdue(now=AT_THREE + 2 * DAY + DAY / 2)
    assert told == [("missed", str(AT_THREE + 2 * DAY))]
    assert read_state().missed_total == 2
    note_overdue(now=AT_THREE + 3 * DAY)  # within the grace
    assert read_state().missed_total == 2
    run_due(now=AT_THREE + 3 * DAY)
    assert names(told) == ["missed", "began", "succeeded"]
    assert read_state().missed_total == 2


def test_what_is_daily_is_done_in_the_first_run_of_each_day(
    settings: Settings, done: list[str]
) -> None:
    settings.BACKUPS_SCHEDULE = "0 * * * *"
    tomorrow = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) + DAY
    for hours in (0, 1, 22, 23):  # the last one is after midnight
        assert run_due(now=tomorrow + timedelta(hours=hours)).what == DONE
    assert done.count("prune") == 4
    assert done.count("verify") == 2


def test_an_older_one_that_somebody_verified_today_does_not_spare_the_newest(
    settings: Settings,
) -> None:
    older = archive.store(by="tester", label="older").snapshot
    assert archive.verify(older.id, by="tester").is_good
    assert run_due(force=True).what == DONE
    newest = archive.find_snapshot("latest")
    assert newest.verification is not None


@pytest.mark.parametrize(("how", "times"), [("always", 3), ("never", 0)])
def test_verify_is_done_as_the_setting_says(
    settings: Settings, done: list[str], how: str, times: int
) -> None:
    settings.BACKUPS_VERIFY = how
    for _ in range(3):
        run_due(now=AT_THREE, force=True)
    assert done.count("verify") == times


def test_a_storage_that_fails_is_noted_told_and_tried_again(
    done: list[str], told: Told, archive_folder: Path, settings: Settings
) -> None:
    settings.BACKUPS_SCHEDULE = "@yearly"  # nothing else is due while this test runs
    archive_folder.write_text("a file where the folder should be")
    outcome = run_due()
    assert outcome.is_failure
    assert "The snapshot could not be stored" in outcome.words
    state = read_state()
    assert (state.failures_total, state.failures) == (1, 1)
    assert "prune" not in done
    assert names(told) == ["began", "failed"]
    last = attempts.last_attempt()
    assert last is not None
    assert last.again_at is not None

    archive_folder.unlink()
    assert run_due(now=last.again_at - timedelta(seconds=1)).what == NOTHING_DUE
    assert run_due(now=last.again_at).what == DONE
    assert names(told)[-1] == "succeeded"
    assert read_state().failures == 0


def test_a_step_that_fails_keeps_no_other_from_being_tried(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "verify", failing(StorageError("It is gone.")))
    monkeypatch.setattr(archive, "look", failing(ValueError("a fault in a storage")))
    outcome = run_due(now=AT_THREE)
    assert outcome.is_failure
    assert done == ["prune"]
    assert "The verification failed: It is gone." in outcome.words
    assert "a fault in a storage" in outcome.words
    assert read_state().failures_total == 2


def test_a_snapshot_that_is_found_damaged_is_a_failure(
    done: list[str], monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    found = Verification(datetime.now(UTC), "damaged", "A page is not what it was.", 0.1)
    monkeypatch.setattr(archive, "verify", lambda *_, **__: found)
    outcome = run_due(now=AT_THREE)
    assert outcome.is_failure
    assert "damaged: A page is not what it was." in outcome.words
    assert read_state().failures == 1
    assert told[-1][0] == "failed"
    last = attempts.last_attempt()
    assert last is not None
    assert last.again_at is not None


def test_a_file_that_went_missing_is_a_failure_that_no_new_try_mends(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "look", lambda **_: ["a.db.zst is missing."])
    assert run_due(now=AT_THREE).is_failure
    state, last = read_state(), attempts.last_attempt()
    assert state.problems == ("a.db.zst is missing.",)
    assert state.failures_total == 1
    assert last is not None
    assert (last.outcome, last.again_at) == (FAILED, None)


def test_what_a_run_could_not_store_is_stored_by_the_next_one(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_due(force=True)
    add_tasks(live.database, "new")
    with monkeypatch.context() as patched:
        full = StorageError("The disk is full.")
        patched.setattr(FolderStorage, "_save", failing(full))
        assert run_due(force=True).is_failure
    second = run_due(force=True)
    assert second.what == DONE
    assert second.snapshot_id != first.snapshot_id
    assert "Nothing has changed" not in second.words


@pytest.mark.parametrize("verify", ["daily", "never"])
def test_a_storage_that_has_lost_all_it_had_is_told_although_the_next_backup_works(
    archive_folder: Path, settings: Settings, told: Told, verify: str
) -> None:
    settings.BACKUPS_VERIFY = verify
    first = run_due(force=True)
    assert first.what == DONE
    archive_folder.rename(archive_folder.with_name("not mounted"))
    second = run_due(force=True)
    assert second.is_failure
    assert f"has no trace of {first.snapshot_id}" in second.words
    assert names(told)[-1] == "failed"
    assert [each.id for each in archive.list_snapshots()] == [second.snapshot_id]
    assert read_state().verified_id != first.snapshot_id
    assert run_due(force=True).what == DONE


def test_what_was_deleted_by_hand_is_not_told_as_lost(told: Told) -> None:
    first = run_due(force=True)
    archive.delete("latest", by="tester", force=True)
    assert first.snapshot_id
    assert run_due(force=True).what == DONE


def test_while_something_is_lost_each_run_looks_again(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(archive, "look", lambda **_: ["a.db.zst is missing."])
        assert run_due(force=True).is_failure
        assert run_due(force=True).is_failure
    for _ in range(2):
        assert run_due(force=True).what == DONE
        assert read_state().problems == ()
    assert [each for each in done if "look" in each] == ["look at all", "look"]


def test_that_the_server_can_not_read_what_it_writes_is_no_failure(settings: Settings) -> None:
    pyrage = pytest.importorskip("pyrage")
    settings.BACKUPS_RECIPIENTS = [str(pyrage.x25519.Identity.generate().to_public())]
    settings.BACKUPS_IDENTITY_FILE = None
    outcome = run_due(now=AT_THREE)
    assert outcome.what == DONE, outcome
    assert "was not verified on this machine: " in outcome.words
    assert "The stored file has not changed." in outcome.words
    assert read_state().last_verified is None


def test_with_the_key_that_was_missing_it_is_verified_on_the_same_day(
    settings: Settings, tmp_path: Path
) -> None:
    key = tmp_path / "key.txt"
    settings.BACKUPS_RECIPIENTS = [create_key_file(key)]
    run_due(force=True)
    settings.BACKUPS_IDENTITY_FILE = key
    assert "restorable" in run_due(force=True).words
    first = read_state().last_verified
    assert first is not None
    assert "restorable" not in run_due(force=True).words, "once a day is enough"
    assert read_state().last_verified == first


def test_a_backup_waits_for_its_turn_and_that_is_no_failure(
    settings: Settings, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SNAPSHOTS_AT_ONCE = 1
    snapshot, waited = services.create_snapshot(compact=False), list[float]()
    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds != steps.BUSY_PAUSE:
            real(seconds)
            return
        waited.append(seconds)
        if len(waited) == 2:
            snapshot.close()

    monkeypatch.setattr(time, "sleep", sleep)
    assert run_due(now=AT_THREE).what == DONE
    assert waited == [steps.BUSY_PAUSE] * 2
    assert read_state().failures_total == 0


def test_a_turn_that_never_comes_is_a_failure(
    settings: Settings, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SNAPSHOTS_AT_ONCE = 1
    monkeypatch.setattr(steps, "BUSY_SECONDS", 0.0)
    with services.create_snapshot(compact=False):
        outcome = run_due(now=AT_THREE)
    assert outcome.is_failure
    assert "1 snapshots of tasks.db are under way" in outcome.words
    assert read_state().failures_total == 1


def test_a_run_that_was_killed_is_a_failed_one_that_is_told_and_tried_again(
    done: list[str], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(run, "_end", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run_due(now=AT_THREE)
    with services.get_store().lock("run"):
        assert not conclude_killed()  # for all that is known it is still under way
    with monkeypatch.context() as restarted:
        restarted.setattr(BackupStore, "may_have_lost_locks", lambda _: True)
        assert not conclude_killed()
        assert run_due(now=AT_THREE).what == UNDER_WAY
    errors: list[object] = []

    def receive(*, error: object, **_: object) -> None:
        errors.append(error)

    signals.backup_failed.connect(receive)
    try:
        assert conclude_killed()
    finally:
        signals.backup_failed.disconnect(receive)
    assert len(errors) == 1
    assert not conclude_killed()
    assert "was cut off" in read_state().last_error
    assert told[-1][0] == "failed"
    assert "was cut off" in told[-1][1]
    last = attempts.last_attempt()
    assert last is not None
    assert last.again_at is not None


@pytest.mark.parametrize(("place", "step"), [(attempts, "remember"), (run, "change_state")])
def test_a_run_that_is_killed_while_it_begins_is_done_by_the_next_one(
    done: list[str], monkeypatch: pytest.MonkeyPatch, place: object, step: str
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(place, step, failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run_due(now=AT_THREE)
    assert run_due(now=AT_THREE).what == DONE


def test_a_step_that_ends_the_steps_is_no_success(
    done: list[str], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps.Steps, "take", failing(MemoryError()))
    assert run_due(now=AT_THREE).what == FAILED
    assert names(told) == ["began", "failed"]


def test_a_state_that_can_not_be_read_fails_its_step(
    done: list[str], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "read_state", failing(MemoryError()))
    assert run_due(now=AT_THREE).what == FAILED
    assert names(told) == ["began", "failed"]


def test_what_is_verified_is_what_was_stored_whatever_a_clock_has_left() -> None:
    with time_machine.travel(datetime.now(UTC) + 400 * DAY, tick=True):
        archive.store(by="tester", label="ahead")
    outcome = run_due(now=AT_THREE)
    assert outcome.what == DONE
    assert read_state().verified_id == outcome.snapshot_id


def test_a_site_without_a_database_has_nothing_to_back_up(site: Site) -> None:
    site.database.unlink()
    outcome = run_due(now=AT_THREE)
    assert (outcome.what, outcome.words) == (NOTHING_DUE, "There is no database to back up yet.")


def test_a_wrong_schedule_fails_each_call_and_says_why(settings: Settings, told: Told) -> None:
    settings.BACKUPS_SCHEDULE = "at three"
    outcome = run_due(now=AT_THREE)
    assert outcome.is_failure
    assert "'at three' is not a cron expression" in outcome.words
    assert told[-1][0] == "failed"


def test_a_folder_that_can_not_be_written_fails_the_run_and_raises_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.setattr(run, "change_state", failing(BackupError("The disk is full.")))
    outcome = run_due(now=AT_THREE)
    assert outcome.is_failure
    assert "The disk is full." in outcome.words
    assert told[-1] == ("failed", "The disk is full.")
