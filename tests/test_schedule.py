"""Backups that take themselves, by real servers, whose processes are killed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backups.sqlite.locking import locks
from tests.backups.archive.stored_in import stored_files
from tests.backups.waiting import until
from tests.processes import CHECKOUT, environment
from tests.site import Server, Site
from tests.workers import PRELOAD, WORKERS, serving

pytestmark = pytest.mark.proof

LEADS = r"\[(\d+)\] backups.schedule.leader: this process starts the scheduled backups"
DONE = r"backups.schedule.run: the scheduled backup is done"
CUT_OFF = r"backups.schedule.run: the scheduled backup has failed: The backup that began .* cut off"


@pytest.fixture
def due(site: Site) -> Site:
    """A site whose first backup is due at once, and no second one while a test runs."""
    variables = {"TASKDOG_BACKUP_SCHEDULE": "@yearly", "TASKDOG_SNAPSHOTS_AT_ONCE": "1"}
    return replace(site, variables=variables)


def stored(site: Site) -> list[Path]:
    return stored_files(site.data / "tasks.db.backups")


def remembered(site: Site) -> dict[str, Any]:
    """What the site remembers of its backups, as it is on the disk."""
    path = site.data / "tasks.db.backups-state.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def outcome(site: Site) -> str | None:
    """Of the last scheduled run."""
    found: str | None = remembered(site).get("schedule", {}).get("attempt", {}).get("outcome")
    return found


def has_begun(site: Site) -> bool:
    """Whether a run is noted as the one that was due: killed before that, it is begun anew."""
    is_noted = remembered(site).get("backups", {}).get("last_due") is not None
    return is_noted and outcome(site) == "under way"


def job(site: Site) -> int | None:
    """The process of the scheduled backup of this site. Asks the system only."""
    ours = f"TASKDOG_DATA_DIR={site.data}".encode()
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_job = b"backups.archive.job_child" in (each / "cmdline").read_bytes()
            if is_job and ours in (each / "environ").read_bytes():
                return int(each.name)
    return None


@contextmanager
def no_turn(site: Site) -> Iterator[None]:
    """While the block runs, no snapshot can begin: a backup that is under way waits."""
    descriptor = os.open(site.data / "tasks.db.lock", os.O_RDWR | os.O_CREAT, 0o600)
    with closing(os.fdopen(descriptor)):
        assert locks.try_turn(descriptor, 0)
        yield


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@PRELOAD
def test_one_worker_of_all_leads_and_its_end_makes_another_one_the_leader(
    due: Site, preload: bool
) -> None:
    with serving(due, preload=preload) as server:
        leader = int(server.wait_for_log(LEADS)[1])
        server.wait_for_log(DONE)
        for _ in range(3):
            kill(leader)
            earlier, leader = leader, int(server.wait_for_log(LEADS)[1])
            assert leader != earlier
            assert server.process.pid != leader in server.worker_pids()
        log = "".join(server.log)
        assert len(re.findall(LEADS, log)) == 4
        assert len(re.findall(DONE, log)) == 1
    assert len(stored(due)) == 1
    assert remembered(due)["backups"]["successes_total"] == 1


def test_a_backup_goes_on_whatever_ends_and_is_not_begun_twice(due: Site) -> None:
    with serving(due, preload=True) as server:
        with no_turn(due):
            leader = int(server.wait_for_log(LEADS)[1])
            until(lambda: outcome(due) == "under way")
            working = until(lambda: job(due))
            assert os.getsid(working) == working
            assert os.getpriority(os.PRIO_PROCESS, working) >= 10

            asked = due.manage("backups", "run-due")
            assert (asked.code, asked.err.strip()) == (0, "A backup is under way already.")
            kill(leader)
            server.wait_for_log(LEADS)
            os.killpg(server.process.pid, signal.SIGTERM)  # all that are left, as a restart does
            server.process.wait(timeout=60)
            assert job(due) == working
            with due.serving() as second:
                second.wait_for_log(LEADS)
                assert job(due) == working
                assert not stored(due)
        until(lambda: outcome(due) == "done")
        until(lambda: job(due) is None)
        assert len(stored(due)) == 1
        assert [each["outcome"] for each in remembered(due)["jobs"]] == ["done"]


@pytest.mark.parametrize("whole", [False, True], ids=["its process", "all processes"])
def test_a_backup_that_is_killed_is_a_failed_one(due: Site, whole: bool) -> None:
    with no_turn(due), due.serving() as server:
        server.wait_for_log(LEADS)
        until(lambda: has_begun(due))
        working = until(lambda: job(due))
        if whole:
            os.killpg(server.process.pid, signal.SIGKILL)
        kill(working)
        if whole:
            with due.serving() as second:
                second.wait_for_log(CUT_OFF)
                until(lambda: outcome(due) == "failed")
        else:
            server.wait_for_log(CUT_OFF)
            until(lambda: outcome(due) == "failed")
    state = remembered(due)["backups"]
    assert state["failures"] == 1
    assert "was cut off" in state["last_error"]
    assert due.manage("backups", "run-due", "--force").code == 0
    assert remembered(due)["backups"]["failures"] == 0
    assert len(stored(due)) == 1


def test_a_signal_to_end_reaches_a_backup_though_the_server_holds_signals_back(due: Site) -> None:
    with no_turn(due), due.serving() as server:
        server.wait_for_log(LEADS)
        until(lambda: has_begun(due))
        working = until(lambda: job(due))
        os.kill(working, signal.SIGTERM)
        server.wait_for_log(CUT_OFF)
        until(lambda: not Path(f"/proc/{working}").exists())


def test_workers_that_are_replaced_all_the_time_take_one_backup(due: Site) -> None:
    with serving(due, "--max-requests", "1", preload=False) as server:
        server.wait_for_log(LEADS)
        for number in range(WORKERS * 3):
            server.add_task(f"task {number}")
        until(lambda: outcome(due) == "done")
        assert len(server.worker_pids()) > WORKERS
    assert len(stored(due)) == 1


@pytest.mark.parametrize("reload", [True, False], ids=["reloader", "no reloader"])
def test_runserver_takes_the_backup(due: Site, reload: bool, tmp_path: Path) -> None:
    options = [] if reload else ["--noreload"]
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "127.0.0.1:0", *options],
            cwd=CHECKOUT,
            env=environment(due.data, **due.variables),
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
    try:
        until(lambda: outcome(due) == "done")
        assert len(re.findall(LEADS, log.read_text())) == 1
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(stored(due)) == 1


def test_a_command_takes_no_backup_by_itself(due: Site) -> None:
    for command in ("check", "showmigrations", "migrate"):
        assert due.manage(command).code == 0
    assert job(due) is None
    assert not list(due.data.glob("tasks.db.backups"))


def test_run_due_says_by_its_exit_code_whether_it_failed(due: Site) -> None:
    done = due.manage("backups", "run-due")
    assert done.code == 0
    assert re.search(r"(\S+) is stored\. \1 is restorable", done.err)
    again = due.manage("backups", "run-due")
    assert (again.code, again.out) == (0, "")
    assert "Nothing is due before" in again.err
    failed = due.manage("backups", "run-due", "--force", TASKDOG_BACKUP_STORAGE=str(due.database))
    assert failed.code == 1
    assert "The snapshot could not be stored" in failed.err
    assert due.manage("backups", "run-due", "--url", "http://127.0.0.1:1").code == 2


def test_a_server_that_has_no_schedule_has_no_thread_more(site: Site) -> None:
    def threads(server: Server) -> list[int]:
        return sorted(len(os.listdir(f"/proc/{pid}/task")) for pid in server.worker_pids())

    with serving(site, preload=True) as server:
        without = threads(server)
    with serving(
        replace(site, variables={"TASKDOG_BACKUP_SCHEDULE": "@yearly"}), preload=True
    ) as server:
        server.wait_for_log(DONE)
        until(lambda: sum(threads(server)) == sum(without) + WORKERS)  # once the job has ended
