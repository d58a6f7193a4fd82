"""A restore that is checked first, and then waits for a person: real jobs, files and signals."""

import gzip
import hashlib
import os
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from backups import services
from backups.archive import jobs
from backups.archive import services as archive
from backups.exceptions import BadParameterError, BusyError, NotStoredError
from backups.management.archive.prepare import MEANWHILE
from tests.backups.archive import prepared_jobs as prepared
from tests.backups.archive.prepared_jobs import ANN, BEN
from tests.backups.uploads import add_tasks
from tests.backups.waiting import until
from tests.site import Site, task_names


def rows_of(job: jobs.Job, table: str) -> tuple[int | None, int | None]:
    """How many rows a table has live and in the snapshot, as the verdict says."""
    assert job.verdict is not None
    (found,) = [each for each in job.verdict["rows"] if each["table"] == table]
    return found["live"], found["snapshot"]


# The verdict


def test_verdict_on_an_upload_says_what_it_is_before_anything_happens(
    home: Site, content: bytes
) -> None:
    before = home.database.read_bytes()
    started = prepared.upload(content, at_least=len(content), account="tester")
    job = prepared.waiting(started)
    assert job.verdict is not None
    sha256 = hashlib.sha256(content).hexdigest()
    assert (job.verdict["kind"], job.verdict["name"]) == ("upload", "mine.db")
    assert (job.verdict["size"], job.verdict["sha256"]) == (len(content), sha256)
    assert (job.verdict["taken_at"], job.verdict["migrations"]) == (None, [])
    assert any("The account tester is not in" in each for each in job.verdict["warnings"])
    assert rows_of(job, "tasks") == (1, 2)
    assert job.source == {"kind": "upload", "name": "mine.db"}
    assert home.database.read_bytes() == before
    assert prepared.left(home.data) == {prepared.incoming(home.data).name}
    assert services.get_restore_status().pending is None


@pytest.mark.parametrize(
    ("name", "taken_at"),
    [
        ("taskdog-backup-20261123-024538.db", "2026-11-23T02:45:38+00:00"),
        ("taskdog-backup-20261123-024538 (1).db.gz", "2026-11-23T02:45:38+00:00"),
        ("taskdog-backup-20261323-024538.db", None),
        ("other-backup-20261123-024538.db", None),
        ("taskdog-backup-20261123-0245381.db", None),
    ],
)
@pytest.mark.proof
def test_name_of_an_upload_says_when_it_was_taken(
    name: str, taken_at: str | None, home: Site, content: bytes
) -> None:
    source = {"kind": "upload", "name": name}
    with archive.prepare_upload([content], name=name, staged_by=ANN) as found:
        moment = None if found.taken_at is None else found.taken_at.isoformat()
    assert moment == taken_at, source


@pytest.mark.proof
def test_snapshot_that_this_site_has_sent_is_known_by_its_bytes(home: Site) -> None:
    with services.create_snapshot(taken_by=ANN) as snapshot:
        content = b"".join(snapshot)
    name = "taskdog-backup-20200101-000000.db"  # which says less than the record
    with archive.prepare_upload([content], name=name, staged_by=ANN) as found:
        assert found.taken_at is not None
        assert datetime.now(UTC) - found.taken_at < timedelta(minutes=1)


def test_verdict_names_the_migrations_that_will_run(home: Site, older: bytes) -> None:
    job = prepared.waiting(prepared.upload(older))
    assert job.verdict is not None
    assert job.verdict["migrations"] == ["sessions.0001_initial"]


@pytest.mark.proof
def test_verdict_on_a_table_that_only_one_of_them_has(home: Site, content: bytes) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("CREATE TABLE only_live (a)")
    job = prepared.waiting(prepared.upload(content))
    assert rows_of(job, "only_live") == (0, None)


@pytest.mark.proof
def test_ruined_live_database_does_not_prevent_the_verdict(home: Site, content: bytes) -> None:
    ruined = b"SQLite format 3\0" + b"\xff" * 4080
    home.database.write_bytes(ruined)
    job = prepared.waiting(prepared.upload(content))
    assert rows_of(job, "tasks") == (None, 2)
    assert job.verdict is not None
    assert {each["live"] for each in job.verdict["rows"]} == {None}
    jobs.decide(job.id, "stage", by=ANN)
    assert prepared.done(job)["status"] == "pending"


@pytest.mark.proof
def test_stored_snapshot_is_taken_when_its_manifest_says(home: Site) -> None:
    stored = archive.store(by=ANN).snapshot
    add_tasks(home.database, "newer")
    job = prepared.waiting(prepared.from_store(stored.id))
    assert job.verdict is not None
    assert stored.manifest is not None
    assert (job.verdict["kind"], job.verdict["name"]) == ("stored", stored.id)
    assert job.verdict["taken_at"] == stored.manifest.taken_at.isoformat()
    assert rows_of(job, "tasks") == (2, 1)
    jobs.decide(job.id, "stage", by=BEN)
    assert prepared.done(job)["sha256"] == stored.manifest.database_sha256
    receipt = archive.list_receipts()[0]
    assert (receipt.what, receipt.snapshot, receipt.by) == ("staged", stored.id, BEN)


@pytest.mark.proof
def test_stored_snapshot_that_waits_can_be_held_and_deleted(home: Site, content: bytes) -> None:
    stored = archive.store(by=ANN).snapshot
    job = prepared.waiting(prepared.from_store(stored.id))
    assert archive.hold(stored.id, by=BEN).hold is not None  # it does not wait for a person
    archive.release(stored.id, by=BEN)
    add_tasks(home.database, "newer")
    archive.store(by=ANN)
    archive.delete(stored.id, by=BEN, force=False)
    jobs.decide(job.id, "stage", by=ANN)
    assert prepared.done(job)["status"] == "pending"


@pytest.mark.proof
def test_undo_is_prepared_in_the_same_way(home: Site, content: bytes) -> None:
    services.hold_presence()
    services.stage_restore([content], staged_by=ANN)
    receipt = services.apply_now(applied_by=ANN)
    job = prepared.waiting(prepared.undo())
    assert job.verdict is not None
    assert (job.verdict["kind"], job.verdict["name"]) == ("undo", receipt.kept)
    assert rows_of(job, "tasks") == (2, 1)
    taken_at = datetime.fromisoformat(job.verdict["taken_at"])
    assert abs(receipt.at - taken_at) < timedelta(seconds=10)
    jobs.decide(job.id, "apply", by=BEN)
    assert prepared.done(job)["undoes"] == receipt.kept
    assert task_names(home.database) == ["live"]


@pytest.mark.proof
def test_compressed_upload_is_unpacked_and_the_verdict_says_so(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(gzip.compress(content)))
    assert job.verdict is not None
    assert job.verdict["size"] == len(content)
    assert any("was unpacked from gzip" in each for each in job.verdict["warnings"])
    jobs.decide(job.id, "stage", by=ANN)
    assert any("was unpacked from gzip" in each for each in prepared.done(job)["warnings"])


# The choice


def test_restore_that_is_staged_waits_for_the_next_start(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content))
    decided = jobs.decide(job.id, "stage", by=BEN)
    assert decided.decision is not None
    assert (decided.decision["what"], decided.decision["by"]) == ("stage", BEN)
    answer = prepared.done(job)
    (receipt,) = services.list_receipts()
    assert (answer["status"], answer["staged_by"]) == ("pending", BEN)
    assert (receipt.outcome, receipt.by) == ("staged", BEN)
    assert receipt.staged_at == datetime.fromisoformat(answer["staged_at"])
    assert receipt.sha256 == answer["sha256"] == hashlib.sha256(content).hexdigest()
    assert task_names(home.data / "tasks.db.pending-restore") == ["one", "two"]
    assert task_names(home.database) == ["live"]


def test_restore_that_is_applied_is_live_at_once(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content, by=ANN))
    jobs.decide(job.id, "apply", by=BEN)
    answer = prepared.done(job)
    assert (answer["status"], answer["by"]) == ("applied", BEN)
    assert task_names(home.database) == ["one", "two"]
    receipt = services.list_receipts()[0]
    assert (receipt.outcome, receipt.by) == ("applied", BEN)
    assert receipt.staged_at == datetime.fromisoformat(answer["staged_at"])


@pytest.mark.proof
def test_restore_that_only_a_restart_can_apply_stays_pending(home: Site, older: bytes) -> None:
    job = prepared.waiting(prepared.upload(older))
    jobs.decide(job.id, "apply", by=ANN)
    code, _ = prepared.failed(job)
    assert code == "needs_restart"
    pending = services.get_restore_status().pending
    assert pending is not None
    assert pending.sha256 == hashlib.sha256(older).hexdigest()
    assert task_names(home.database) == ["live"]


@pytest.mark.proof
def test_decision_that_comes_twice_counts_once(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content))
    jobs.decide(job.id, "stage", by=ANN)
    for what, by in (("stage", ANN), ("apply", BEN), ("cancel", BEN)):
        with pytest.raises(BusyError, match=r"^ann has already decided: stage|has ended"):
            jobs.decide(job.id, what, by=by)
    prepared.done(job)
    with pytest.raises(BusyError, match="has ended"):
        jobs.decide(job.id, "apply", by=BEN)
    assert [each.outcome for each in services.list_receipts()] == ["staged"]
    assert prepared.now(job).decision == {**(prepared.now(job).decision or {}), "by": ANN}


def test_decision_about_a_job_that_is_none_or_needs_none_is_refused(home: Site) -> None:
    with pytest.raises(NotStoredError):
        jobs.decide("nothing", "stage", by=ANN)
    job = jobs.start("store", by=ANN)
    with pytest.raises(BadParameterError):
        jobs.decide(job.id, "cancel", by=ANN)
    prepared.done(job)


def test_what_is_decided_must_be_known(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content))
    with pytest.raises(BadParameterError):
        jobs.decide(job.id, "explode", by=ANN)
    assert prepared.now(job).decision is None


# Meanwhile


@pytest.mark.proof
def test_start_while_a_restore_waits_applies_another_one(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content, by=ANN))
    other = archive.store(by=BEN)
    archive.stage_snapshot(other.snapshot.id, staged_by=BEN)
    connections.close_all()  # this process stops to use it, as a server does
    services.release_presence()
    finished = home.manage("check")
    assert finished.code == 0, finished.err
    assert "applied" in home.conclusions(), finished.err  # nobody was in its way
    jobs.decide(job.id, "stage", by=ANN)
    answer = prepared.done(job)
    assert answer["warnings"][-1] == MEANWHILE
    assert task_names(home.data / "tasks.db.pending-restore") == ["one", "two"]


@pytest.mark.proof
def test_waiting_restore_keeps_its_file_from_a_start_that_sweeps(
    home: Site, content: bytes
) -> None:
    job = prepared.waiting(prepared.upload(content))
    assert home.manage("check").code == 0
    jobs.decide(job.id, "stage", by=ANN)
    assert prepared.done(job)["status"] == "pending"


@pytest.mark.proof
def test_waiting_restore_holds_no_turn(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKDOG_UPLOADS_AT_ONCE", "1")
    one = prepared.waiting(prepared.upload(content, by=ANN))
    two = prepared.waiting(prepared.upload(content, by=BEN))
    jobs.decide(one.id, "cancel", by=ANN)
    jobs.decide(two.id, "stage", by=BEN)
    assert prepared.done(two)["status"] == "pending"
    assert prepared.failed(one)[0] == "cancelled"
    assert not list(home.data.glob("tasks.db.incoming-*"))


@pytest.mark.proof
def test_two_people_decide_for_themselves(home: Site, content: bytes) -> None:
    one = prepared.waiting(prepared.upload(content, by=ANN))
    two = prepared.waiting(prepared.upload(content, by=BEN))
    assert prepared.now(one).is_waiting
    jobs.decide(two.id, "stage", by=BEN)
    prepared.done(two)
    jobs.decide(one.id, "stage", by=ANN)
    assert prepared.done(one)["staged_by"] == ANN
    assert [each.by for each in services.list_receipts()] == [ANN, BEN]


@pytest.mark.proof
def test_new_one_of_the_same_person_takes_the_place_of_the_one_that_waits(
    home: Site, content: bytes
) -> None:
    first = prepared.waiting(prepared.upload(content))
    second = prepared.waiting(prepared.upload(content))
    assert prepared.failed(first) == ("cancelled", "The restore was cancelled by ann.")
    assert prepared.left(home.data) == {prepared.incoming(home.data).name}
    jobs.decide(second.id, "cancel", by=ANN)
    assert prepared.failed(second)[0] == "cancelled"
    assert not services.list_receipts()


@pytest.mark.proof
def test_more_than_three_may_not_wait(home: Site, content: bytes) -> None:
    waiting = [prepared.waiting(prepared.upload(content, by=f"p{number}")) for number in range(3)]
    with pytest.raises(BusyError, match="3 restores wait"):
        prepared.upload(content, by=ANN)
    assert len(jobs.list_jobs()) == 3  # not even remembered
    for each in waiting:
        jobs.decide(each.id, "cancel", by=ANN)
        prepared.failed(each)


@pytest.mark.proof
def test_waiting_ones_do_not_count_among_those_at_work(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 1)
    waiting = prepared.waiting(prepared.upload(content))
    prepared.done(jobs.start("store", by=BEN))
    assert prepared.now(waiting).is_waiting


# Killed after the decision


@pytest.mark.parametrize("moment", ["decided", "staging", "pending", "applying"])
@pytest.mark.proof
def test_process_that_is_killed_after_the_decision_leaves_the_old_or_the_new(
    moment: str, home: Site, content: bytes
) -> None:
    job = prepared.waiting(prepared.upload(content))
    process, pending = prepared.process_of(job.id), home.data / "tasks.db.pending-restore"
    jobs.decide(job.id, "apply", by=BEN)

    def is_there() -> bool:
        found = prepared.now(job)
        steps = {"decided": True, "pending": pending.exists()}
        return steps.get(moment, found.step == moment) or not found.is_running

    until(is_there)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    end = prepared.ended(job)
    assert end.outcome in ("stopped", "done")
    assert task_names(home.database) in (["live"], ["one", "two"])
    if pending.exists():
        assert task_names(pending) == ["one", "two"]
    connections.close_all()
    services.release_presence()
    finished = home.manage("check")
    assert finished.code == 0, finished.err
    assert task_names(home.database) in (["live"], ["one", "two"])
    assert not pending.exists()
    assert not list(home.data.glob("tasks.db.incoming-*"))
    assert services.get_restore_status().pending is None
