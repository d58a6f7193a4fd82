"""How a prepared restore ends otherwise: cancelled, expired, refused, killed. Nothing stays."""

import gzip
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import time_machine

from backups import services
from backups.archive import job_records, jobs
from backups.archive import services as archive
from backups.exceptions import BadParameterError, BusyError, UploadInterruptedError
from backups.services import get_store
from tests.backups import builders
from tests.backups.archive import prepared_jobs as prepared
from tests.backups.archive.prepared_jobs import ANN, BEN
from tests.backups.uploads import BAD
from tests.backups.waiting import until
from tests.processes import CHECKOUT
from tests.site import Site, task_names

ID = str(uuid.uuid4())  # another one in each process that runs tests: some kill by it
UPPER = "0B0B0B0B-1111-4222-8333-444444444444"


@pytest.fixture(autouse=True)
def _nothing_stays(home: Site) -> Iterator[None]:
    """No file, no receipt, and the live database as it was."""
    yield
    assert until(lambda: not prepared.left(home.data)), prepared.left(home.data)
    assert services.list_receipts() == []
    assert task_names(home.database) == ["live"]


def decided_after(parts: list[bytes], number: int, decide: Callable[[], object]) -> Iterator[bytes]:
    """The parts of an upload; after so many of them the client waits until it is decided."""
    yield from parts[:number]
    until(lambda: any(each.step == "receiving" and each.has_begun for each in jobs.list_jobs()))
    decide()
    yield from parts[number:]


# Cancelled


@pytest.mark.proof
def test_upload_is_cancelled_while_it_arrives(home: Site, content: bytes) -> None:
    parts = prepared.chunks(content)

    def cancel() -> None:
        jobs.decide(ID, "cancel", by=BEN)
        until(lambda: not prepared.found(ID).is_running)

    job = prepared.upload(decided_after(parts, 1, cancel), job_id=ID)
    assert job.id == ID
    assert prepared.failed(job) == ("cancelled", "The restore was cancelled by ben.")


@pytest.mark.proof
def test_upload_is_cancelled_while_it_is_checked(
    home: Site, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "endless.db"
    path.write_bytes(content)
    endless = builders.endless_to_check(path).read_bytes()
    job = prepared.at(prepared.upload(endless), "checking")
    with pytest.raises(BusyError, match="not checked yet"):
        jobs.decide(job.id, "stage", by=BEN)
    jobs.decide(job.id, "cancel", by=ANN)
    assert prepared.failed(job)[0] == "cancelled"
    assert prepared.now(job).step == "checking"


@pytest.mark.proof
def test_upload_is_cancelled_before_its_process_begins(home: Site, content: bytes) -> None:
    parts = prepared.chunks(content)

    def cancelled() -> Iterator[bytes]:
        jobs.decide(ID, "cancel", by=ANN)
        yield from parts

    assert prepared.failed(prepared.upload(cancelled(), job_id=ID))[0] == "cancelled"


def test_restore_that_waits_is_cancelled_by_somebody_else(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content, by=ANN))
    jobs.decide(job.id, "cancel", by=BEN)
    assert prepared.failed(job) == ("cancelled", "The restore was cancelled by ben.")


@pytest.mark.proof
def test_stored_one_is_cancelled_too(home: Site) -> None:
    stored = archive.store(by=ANN).snapshot
    job = prepared.waiting(prepared.from_store(stored.id))
    jobs.decide(job.id, "cancel", by=ANN)
    assert prepared.failed(job)[0] == "cancelled"
    assert [each.what for each in archive.list_receipts()] == ["stored"]


# Not decided


@pytest.mark.proof
def test_restore_that_nobody_decides_on_ends(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "DECISION_SECONDS", 0.5)
    job = prepared.upload(content)
    assert prepared.failed(job)[0] == "not_decided"
    with pytest.raises(BusyError, match="has ended"):
        jobs.decide(job.id, "stage", by=ANN)


@pytest.mark.proof
def test_clock_that_is_set_back_does_not_keep_a_job_alive(home: Site) -> None:
    with time_machine.travel("2027-01-01T00:00:00+00:00", tick=False):
        job_records.write(get_store(), jobs.Job("1", "store", ANN, job_records.now()))
        assert prepared.found("1").is_running
    assert prepared.found("1").outcome == "stopped"


# Refused


@pytest.mark.parametrize("kind", ["text", "scribbled page", "newer release", "cut off at a page"])
def test_bad_upload_is_refused_and_the_history_says_so(
    kind: str, home: Site, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    BAD[kind].spoil(path)
    code, message = prepared.failed(prepared.upload(path.read_bytes()))
    assert code == BAD[kind].code
    (receipt,) = archive.list_receipts()
    assert (receipt.what, receipt.by, receipt.reason) == ("refused", ANN, message)
    assert receipt.snapshot is None


@pytest.mark.proof
def test_damaged_gzip_is_refused(home: Site, content: bytes) -> None:
    packed = gzip.compress(content)
    assert prepared.failed(prepared.upload(packed[:-100]))[0] == "wrong_length"


@pytest.mark.proof
def test_upload_that_is_too_large_is_refused_before_all_of_it_came(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKDOG_MAX_UPLOAD_BYTES", "200000")
    passed_on = 0

    def endless() -> Iterator[bytes]:
        nonlocal passed_on
        yield content[:50_000]
        while True:
            passed_on += 1
            yield bytes(50_000)

    assert prepared.failed(prepared.upload(endless()))[0] == "too_large"
    assert passed_on < 1_000
    assert archive.list_receipts()[0].what == "refused"


@pytest.mark.proof
def test_upload_that_is_announced_as_too_large_is_refused_at_once(
    home: Site, content: bytes
) -> None:
    job = prepared.upload(content, at_least=2**50)
    assert prepared.failed(job)[0] == "too_large"


@pytest.mark.proof
def test_upload_without_room_is_refused(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKDOG_KEEP_FREE_BYTES", str(2**60))
    code, _ = prepared.failed(prepared.upload(content, at_least=len(content)))
    assert code == "not_enough_space"
    assert archive.list_receipts() == []  # that says nothing about the snapshot


@pytest.mark.proof
def test_upload_while_all_turns_are_taken_is_refused(
    home: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKDOG_UPLOADS_AT_ONCE", "1")
    with services.take_upload_turn():
        code, _ = prepared.failed(prepared.upload(content))
    assert code == "too_many_uploads"


@pytest.mark.proof
def test_stored_one_that_was_changed_is_refused(home: Site) -> None:
    stored = archive.store(by=ANN).snapshot
    path = home.data / "tasks.db.backups" / stored.name
    packed = path.read_bytes()
    path.write_bytes(packed[:-50] + bytes(50))
    code, _ = prepared.failed(prepared.from_store(stored.id))
    assert code == "damaged"
    receipt = archive.list_receipts()[0]
    assert (receipt.what, receipt.snapshot, receipt.by) == ("refused", stored.id, ANN)


@pytest.mark.parametrize("job_id", ["", "../x", "0" * 36, UPPER, 7])
def test_id_that_is_not_a_uuid_is_refused(job_id: str, home: Site, content: bytes) -> None:
    with pytest.raises(BadParameterError):
        prepared.upload(content, job_id=job_id)


def test_id_is_used_once(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content, job_id=ID))
    with pytest.raises(BadParameterError, match="already a job"):
        prepared.upload(content, job_id=ID)
    assert prepared.now(job).is_waiting
    jobs.decide(ID, "cancel", by=ANN)
    prepared.failed(job)


# Killed


@pytest.mark.proof
def test_client_that_hangs_up_leaves_nothing(home: Site, content: bytes) -> None:
    def broken_off() -> Iterator[bytes]:
        yield content[:100_000]
        raise UploadInterruptedError("The client is gone.")

    with pytest.raises(UploadInterruptedError, match="The client is gone"):
        prepared.upload(broken_off(), job_id=ID)
    assert prepared.failed(prepared.found(ID))[0] == "upload_interrupted"


WORKER = """
import sys
import django
django.setup()
from backups.archive import jobs
def chunks():
    with open(sys.argv[1], "rb") as file:
        yield file.read(100_000)
        print("fed", flush=True)
        sys.stdin.read()
jobs.start("prepare", by="ann", job_id=sys.argv[2], chunks=chunks(),
           source={"kind": "upload", "name": "x.db"})
"""


@pytest.mark.proof
def test_worker_that_is_killed_in_the_middle_leaves_nothing(
    home: Site, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "upload.db").write_bytes(content)
    words = [sys.executable, "-c", WORKER, str(tmp_path / "upload.db"), ID]
    with subprocess.Popen(
        words, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"fed\n"
        until(lambda: list(home.data.glob("tasks.db.incoming-*")))
        worker.send_signal(signal.SIGKILL)
    code, message = prepared.failed(prepared.found(ID))
    assert (code, message) == ("upload_interrupted", "The upload ended before it was whole.")


@pytest.mark.proof
def test_process_that_is_killed_while_it_waits_is_stopped_and_its_file_swept(
    home: Site, content: bytes
) -> None:
    job = prepared.waiting(prepared.upload(content))
    prepared.kill(job)
    assert prepared.ended(job).outcome == "stopped"
    with pytest.raises(BusyError, match="has ended"):
        jobs.decide(job.id, "stage", by=ANN)
    assert prepared.incoming(home.data)
    services.release_presence()
    assert home.manage("check").code == 0


@pytest.mark.proof
def test_process_that_is_killed_while_it_receives_is_stopped(home: Site, content: bytes) -> None:
    def killed() -> Iterator[bytes]:
        yield content[:100_000]
        until(lambda: list(home.data.glob("tasks.db.incoming-*")))
        prepared.kill(prepared.found(ID))
        until(lambda: not prepared.found(ID).is_running)
        while True:  # it takes no more
            yield content

    job = prepared.upload(killed(), job_id=ID)
    assert job.outcome == "stopped"
    get_store().sweep()


@pytest.mark.proof
def test_process_that_is_told_to_end_cleans_up(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content))
    os.kill(prepared.process_of(job.id), signal.SIGTERM)
    assert prepared.ended(job).outcome == "failed"
