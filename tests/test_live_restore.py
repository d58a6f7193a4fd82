"""A restore without a restart, on a real server with several workers, and what may go wrong."""

import json
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.backups.uploads import add_ballast, add_tasks, snapshot_of
from tests.backups.waiting import until
from tests.site import Server, Site, copy_site, task_names

pytestmark = pytest.mark.proof

OCTETS = {"Content-Type": "application/octet-stream"}
PATIENT = {"TASKDOG_LIVE_SECONDS": "100"}
BALLAST = 60  # MB: an apply takes long enough to be met in the middle
SHIFT = 1000  # by which the snapshot's content types are numbered otherwise


@pytest.fixture(scope="module")
def large_site(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = copy_site(template_site, tmp_path_factory.mktemp("large") / "data")
    add_tasks(site.database, "live")
    add_ballast(site.database, BALLAST)
    return site


@pytest.fixture(scope="module")
def large_snapshot(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshot") / "large.db"
    return snapshot_of(template_site, path, "restored", megabytes=BALLAST)


@pytest.fixture
def large(large_site: Site, tmp_path: Path) -> Site:
    return copy_site(large_site, tmp_path / "data")


@pytest.fixture
def good(template_site: Site, tmp_path: Path) -> Path:
    return snapshot_of(template_site, tmp_path / "good.db", "restored")


def restore(server: Server, snapshot: Path, query: str = "?apply=now") -> requests.Response:
    server.http.headers["Connection"] = "close"
    with snapshot.open("rb") as content:
        return server.api("POST", f"restore{query}", data=content, headers=OCTETS)


def outcomes(site: Site) -> list[str]:
    return [str(receipt["outcome"]) for receipt in site.receipts()]


def ask(server: Server, pid: int) -> dict[str, Any]:
    """What this very worker knows: the others are stopped, so that none of them can answer."""
    others = [worker for worker in server.worker_pids() if worker != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        answer: dict[str, Any] = requests.get(f"{server.url}/who", timeout=20).json()
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
    assert answer["pid"] == pid
    return answer


def applier(site: Site) -> int:
    """The process that replaces the content, which a worker has started."""
    return until(lambda: next(filter(None, (_applies(site, entry) for entry in _processes())), 0))


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _applies(site: Site, process: Path) -> int:
    try:
        command = (process / "cmdline").read_bytes()
        is_it = b"apply_now_child" in command and str(site.database).encode() in command
        # At work: one that has not begun when its parent is killed has nobody to do it for.
        is_open = is_it and str(site.database) in map(os.readlink, (process / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0
    return int(process.name) if is_open else 0


def in_transaction(database: Path) -> "closing[sqlite3.Connection]":
    """Another program that holds the write lock."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return closing(connection)


# What everybody sees


def test_every_worker_sees_the_new_content_at_once_and_forgets_the_old(
    site: Site, good: Path
) -> None:
    add_tasks(site.database, "live")
    with closing(sqlite3.connect(good)) as snapshot:
        snapshot.execute("UPDATE django_content_type SET id = id + ?", (SHIFT,))
        snapshot.execute(
            "UPDATE auth_permission SET content_type_id = content_type_id + ?", (SHIFT,)
        )
        snapshot.commit()
    variables = {"DJANGO_SETTINGS_MODULE": "tests.worker_settings", "TASKDOG_WORKERS": "3"}
    with site.serving(**variables) as server:
        workers = until(lambda: (pids := server.worker_pids())[2:] and pids)
        before = [ask(server, pid) for pid in workers]
        assert [answer["tasks"] for answer in before] == [["live"]] * 3

        applied = restore(server, good)
        after = [ask(server, pid) for pid in workers]

        assert (applied.status_code, applied.json()["status"]) == (200, "applied"), applied.text
        assert [answer["tasks"] for answer in after] == [["restored"]] * 3
        assert [answer["content_type"] for answer in after] == [
            answer["content_type"] + SHIFT for answer in before
        ]
        assert server.worker_pids() == workers, "no worker had to be replaced"
        assert server.api("GET", "restore").json()["status"] == "nothing"

    assert task_names(site.data / applied.json()["kept"]) == ["live"]
    assert outcomes(site) == ["staged", "applied"]
    assert site.manage("check").code == 0
    assert outcomes(site) == ["staged", "applied"], "there is nothing left for a start"
    assert task_names(site.database) == ["restored"]


def test_answer_is_the_receipt(site: Site, good: Path) -> None:
    with site.serving() as server:
        answer = restore(server, good).json()
        listed = server.api("GET", "restores").json()["restores"]
    assert (answer.pop("status"), answer.pop("message")) == ("applied", "the snapshot is live")
    assert answer.pop("warnings") == []
    assert answer == listed[0]
    assert (answer["outcome"], answer["by"], answer["reason"]) == ("applied", "tester", "")


def test_write_that_comes_in_the_middle_waits_and_is_in_the_new_content(
    large: Site, large_snapshot: Path
) -> None:
    with large.serving(**PATIENT) as server:
        answers: list[requests.Response] = []
        upload = threading.Thread(target=lambda: answers.append(restore(server, large_snapshot)))
        upload.start()
        until(lambda: keeping(large))
        pid = applier(large)
        os.kill(pid, signal.SIGSTOP)  # it has the write lock, and keeps it
        try:
            key = {"X-Api-Key": large.key}
            write = threading.Thread(
                target=lambda: answers.append(
                    requests.post(
                        f"{server.url}/api/v1/tasks",
                        json={"name": "meanwhile"},
                        headers=key,
                        timeout=60,
                    )
                )
            )
            write.start()
            reader = requests.get(f"{server.url}/api/v1/tasks", headers=key, timeout=60)
            assert [task["name"] for task in reader.json()["tasks"]] == ["live"]
            write.join(1)
            assert write.is_alive(), "it waits"
        finally:
            os.kill(pid, signal.SIGCONT)
        write.join(60)
        upload.join(60)
        assert sorted(answer.status_code for answer in answers) == [200, 201], answers
        assert server.task_names() == ["restored", "meanwhile"]
    (kept,) = large.kept()
    assert task_names(kept) == ["live"]


def test_undo_goes_back_and_to_undo_that_restores_again(site: Site, good: Path) -> None:
    add_tasks(site.database, "live")
    with site.serving() as server:
        first = restore(server, good).json()
        undone = server.api("POST", "restore/undo?apply=now").json()
        assert (undone["status"], undone["undoes"]) == ("applied", first["kept"])
        assert server.task_names() == ["live"]

        staged = server.api("POST", "restore/undo").json()
        assert (staged["status"], staged["undoes"]) == ("pending", undone["kept"])
        assert server.task_names() == ["live"]
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        assert server.task_names() == ["restored"]


def test_the_newest_kept_copies_stay(site: Site, good: Path, tmp_path: Path) -> None:
    with site.serving(TASKDOG_KEPT_COPIES="3", TASKDOG_KEPT_DAYS="0") as server:
        for number in range(5):
            snapshot = Path(shutil.copy(good, tmp_path / f"{number}.db"))
            add_tasks(snapshot, f"restore {number}")
            assert restore(server, snapshot).json()["status"] == "applied"
        listed = server.api("GET", "restores").json()["kept"]
    assert [copy["name"] for copy in listed] == [kept.name for kept in site.kept()][::-1]
    assert [task_names(site.data / copy["name"])[-1] for copy in listed] == [
        "restore 3",
        "restore 2",
        "restore 1",
    ]
    for copy in listed:
        assert copy["is_database"]
        assert copy["size"] == (site.data / copy["name"]).stat().st_size


# What can't be done without a restart


def test_older_snapshot_stays_pending_and_the_next_start_applies_it(site: Site, good: Path) -> None:
    add_tasks(site.database, "live")
    with closing(sqlite3.connect(good)) as snapshot:
        snapshot.execute("DROP TABLE django_session")
        snapshot.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        snapshot.commit()
    with site.serving() as server:
        answer = restore(server, good)
        body = answer.json()
        assert (answer.status_code, body["code"], body["status"]) == (
            409,
            "needs_restart",
            "pending",
        )
        assert "needs 1 migration: sessions.0001_initial" in body["detail"]
        assert "restart the server" in body["hint"]
        assert (body["size"], body["staged_by"]) == (good.stat().st_size, "tester")
        assert server.task_names() == ["live"]
        assert site.kept() == []
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        assert server.task_names() == ["restored"]
    assert outcomes(site) == ["staged", "blocked", "applied"]


def test_writer_that_never_lets_go_is_given_up_on_within_the_limit(site: Site, good: Path) -> None:
    add_tasks(site.database, "live")
    with site.serving(TASKDOG_LIVE_SECONDS="1") as server:
        with in_transaction(site.database) as writer:
            began = time.monotonic()
            answer = restore(server, good)
            waited = time.monotonic() - began
            writer.execute("INSERT INTO tags (name, created_at) VALUES ('held', '2026-11-23')")
            writer.execute("COMMIT")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (409, "pending"), body
        assert "did not release its lock within 1 seconds" in body["detail"]
        assert waited < 20, "the limit, the audit log's two seconds twice, and a slow machine"
        assert server.task_names() == ["live"]
        assert site.kept() == []

        again = site.manage("restore_db", "--now", "--yes")
        assert again.code == 0, again.err
        assert server.task_names() == ["restored"]
    assert outcomes(site) == ["staged", "blocked", "applied"]


# Killed in the middle


def keeping(site: Site) -> object:
    """The old content is being copied, so the write lock is held."""
    return [path for path in site.data.glob("tasks.db.keeping-*") if size_of(path)]


def marked(site: Site) -> object:
    """The manifest says that the pages are about to be written."""
    for path in site.data.glob("tasks.db.pending-restore.*.json"):
        if json.loads(path.read_text())["overwrites"] is not None:
            return path
    return None


def writing(site: Site) -> object:
    return size_of(site.data / "tasks.db-wal") > BALLAST * 500_000


def kept(site: Site) -> object:
    return site.kept()


def concluded(site: Site) -> object:
    return outcomes(site)[-1:] == ["applied"]


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def content_now(site: Site, folder: Path) -> list[str]:
    """The tasks of a copy of the database as it lies there; SQLite may recover the copy."""
    folder.mkdir()
    for name in ("tasks.db", "tasks.db-wal", "tasks.db-journal"):
        if (site.data / name).exists():
            shutil.copy(site.data / name, folder)
    return task_names(folder / "tasks.db")


@pytest.mark.parametrize("moment", [keeping, kept, marked, writing, concluded])
def test_killed_in_the_middle_it_is_the_old_or_the_new_content_whole(
    large: Site, large_snapshot: Path, tmp_path: Path, moment: Callable[[Site], object]
) -> None:
    with large.serving() as server:
        thread = threading.Thread(target=_ignoring_the_end, args=(server, large_snapshot))
        thread.start()
        until(lambda: moment(large))
        server.kill()  # with the child that replaces the content
        thread.join(30)
    certain: dict[object, list[list[str]]] = {keeping: [["live"]], concluded: [["restored"]]}
    assert content_now(large, tmp_path / "copy") in certain.get(moment, [["live"], ["restored"]])

    with large.serving() as server:
        server.http.headers["Connection"] = "close"
        assert server.task_names() == ["restored"], "what was pending is applied by the start"
        assert server.api("GET", "restore").json()["status"] == "nothing"
    assert task_names(large.database) == ["restored"]
    assert [task_names(copy) for copy in large.kept()][-1:] == [["live"]]
    assert outcomes(large) == ["staged", "applied"]
    assert large.database.stat().st_nlink == 1
    for kind in ("incoming", "keeping", "manifest", "pending-restore", "earlier"):
        assert not list(large.data.glob(f"tasks.db.{kind}*")), kind


def _ignoring_the_end(server: Server, snapshot: Path) -> None:
    try:
        restore(server, snapshot)
    except requests.RequestException:
        return


def test_start_sees_an_apply_that_has_outlived_its_server(site: Site, good: Path) -> None:
    add_tasks(site.database, "live")
    with in_transaction(site.database) as writer, site.serving(**PATIENT) as server:
        thread = threading.Thread(target=_ignoring_the_end, args=(server, good))
        thread.start()
        pid = applier(site)  # which waits for the writer
        workers = server.worker_pids()
        for each in (server.process.pid, *workers):
            os.kill(each, signal.SIGKILL)
        server.process.wait(30)
        thread.join(30)
        with site.serving() as following:
            following.http.headers["Connection"] = "close"
            log = "".join(following.log)
            assert "restore still pending" in log
            assert any(f"is in use by pid {worker}" in log for worker in workers)
            assert following.task_names() == ["live"]
            os.kill(pid, 0)  # it is there, and goes on when the writer lets go
            writer.close()
            until(lambda: concluded(site))
            assert following.task_names() == ["restored"]
    (copy,) = site.kept()
    assert task_names(copy) == ["live"]
    assert site.manage("check").code == 0
    assert task_names(site.database) == ["restored"]
    assert outcomes(site) == ["staged", "applied"]
