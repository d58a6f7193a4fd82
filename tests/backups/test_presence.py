"""Presence between real processes: the store's own, then whole sites and servers."""

import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing import Barrier
from pathlib import Path
from typing import IO
from unittest import mock

import pytest

from backups.sqlite.presence import Holder, Presence
from tests.backups import builders
from tests.backups.stores import new_snapshot, new_store
from tests.processes import CHECKOUT, environment
from tests.site import Server, Site, copy_site, task_names


def present(lock: Path) -> Callable[[IO[str], IO[str]], None]:
    """A process that joins, and then does what it is asked."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        presence = Presence(lock)
        presence.join()
        print("present", file=answers)
        for request in requests:
            if request == "alone\n":
                print(presence.try_alone(), file=answers)
            elif request == "share\n":
                presence.share()
                print("shared", file=answers)
            elif request == "fork\n":
                pid = os.fork()
                if pid == 0:
                    requests.readline()
                    os._exit(0)
                print(pid, file=answers)
            elif request == "leave\n":
                presence.leave()
                print("left", file=answers)

    return work


def ask(requests: IO[str], answers: IO[str], request: str) -> str:
    print(request, file=requests)
    return answers.readline().strip()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db.lock"


@pytest.fixture
def presence(lock: Path) -> Iterator[Presence]:
    presence = Presence(lock)
    yield presence
    presence.leave()


def test_alone_only_while_nobody_else_is_present(lock: Path, presence: Presence) -> None:
    with builders.forked(present(lock)) as (_, requests, answers):
        assert answers.readline() == "present\n"
        assert not presence.try_alone()
        assert presence.everybody() == []
        presence.join()
        assert not presence.try_alone()
        assert len(presence.everybody()) == 2
        assert ask(requests, answers, "alone") == "False"
        presence.leave()
        assert ask(requests, answers, "alone") == "True"
        assert ask(requests, answers, "share") == "shared"
        assert ask(requests, answers, "leave") == "left"
        assert presence.try_alone()


def test_others_are_named_with_pid_and_command(lock: Path, presence: Presence) -> None:
    assert presence.others() == presence.everybody() == []
    presence.join()
    with builders.forked(present(lock)) as (pid, _, answers):
        answers.readline()
        (other,) = presence.others()
        assert other.pid == pid
        assert other.command == presence.everybody()[0].command != "", "a fork has our command"
        assert str(other) == f"pid {pid} ({other.command})"
        assert [holder.pid for holder in presence.everybody()] == [os.getpid(), pid]
    assert presence.others() == []
    assert str(Holder(7, "")) == "pid 7", "of another container"


def test_kill_frees_it(lock: Path, presence: Presence) -> None:
    with builders.forked(present(lock)) as (_, _, answers):
        answers.readline()
        assert not presence.try_alone()
    assert presence.try_alone()  # the block ends with kill -9
    assert lock.exists(), "the file stays"


def test_joining_twice_is_joining_once(lock: Path, presence: Presence) -> None:
    presence.join()
    presence.join()
    presence.leave()
    presence.leave()
    other = Presence(lock)
    assert other.try_alone()
    other.leave()


def test_join_waits_for_an_applier(lock: Path, presence: Presence) -> None:
    assert presence.try_alone()
    with builders.forked(present(lock)) as (pid, _, answers):
        waited, _, _ = select.select([answers], [], [], 0.3)
        assert not waited, answers.readline()
        assert presence.others() == []
        presence.share()
        assert answers.readline() == "present\n"
        assert [holder.pid for holder in presence.others()] == [pid]


def test_forked_child_has_a_hold_of_its_own(lock: Path, presence: Presence) -> None:
    presence.join()
    with builders.forked(present(lock)) as (parent, requests, answers):
        answers.readline()
        child = int(ask(requests, answers, "fork"))
        os.kill(parent, signal.SIGKILL)
        _wait_until(lambda: [holder.pid for holder in presence.others()] == [child])
        presence.leave()
        assert not presence.try_alone()
        os.kill(child, signal.SIGKILL)
        _wait_until(presence.try_alone)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline


def test_fork_where_the_lock_file_is_gone_keeps_the_inherited_hold(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    presence = Presence(folder / "lock")
    presence.join()
    (folder / "lock").unlink()
    folder.rmdir()
    with builders.forked(lambda _, answers: print(presence.is_held, file=answers)) as (_, _, said):
        assert said.readline() == "True\n"
    presence.leave()


def test_lock_file_has_the_mode_of_the_database_without_execution(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").touch()
    (tmp_path / "tasks.db").chmod(0o750)
    presence = Presence(tmp_path / "lock", owner_of=tmp_path / "tasks.db")
    presence.join()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o640
    presence.leave()


def test_lock_file_that_was_replaced_meanwhile_is_opened_again(
    lock: Path, presence: Presence
) -> None:
    system_open = os.open
    opened: list[int] = []

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = system_open(path, flags, mode)
        opened.append(descriptor)
        if len(opened) == 2:  # the first one found no file, and the second made it
            lock.unlink()
        return descriptor

    lock.touch()
    opened.append(0)
    with mock.patch("os.open", open_and_lose):
        presence.join()
    other = Presence(lock)
    assert not other.try_alone()


def test_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    presence = Presence(tmp_path / "nowhere" / "lock")
    with pytest.raises(FileNotFoundError):
        presence.join()
    with pytest.raises(FileNotFoundError):
        presence.try_alone()
    assert not presence.is_held


# Stores


def test_process_that_has_the_store_open_blocks_and_is_named(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    store.stage(new_snapshot(tmp_path))

    def serve(requests: IO[str], answers: IO[str]) -> None:
        store.real.hold_presence()
        print("present", file=answers)
        requests.readline()

    with builders.forked(serve) as (pid, _, answers):
        answers.readline()
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"in use by pid {pid} (" in receipt.reason
        assert store.items() == ["old"]
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"


def test_of_stores_that_start_together_one_applies_and_the_others_wait(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "old")
    store.stage(new_snapshot(tmp_path))
    gate = Barrier(4)

    def start(_: IO[str], answers: IO[str]) -> None:
        gate.wait()
        receipt = store.real.apply_pending_restore()
        print(receipt.outcome if receipt else "nothing", store.items(), file=answers)

    with (
        builders.forked(start) as (_, _, a),
        builders.forked(start) as (_, _, b),
        builders.forked(start) as (_, _, c),
        builders.forked(start) as (_, _, d),
    ):
        said = sorted(answers.readline().strip() for answers in (a, b, c, d))
    assert said == ["applied ['new']", *["nothing ['new']"] * 3]
    assert [builders.names(kept) for kept in store.kept()] == [["old"]]


# Whole sites


@pytest.fixture
def restored(template_site: Site, tmp_path: Path) -> Path:
    """A snapshot of another site, with one task."""
    other = copy_site(template_site, tmp_path / "other")
    add_task(other, "new")
    path = tmp_path / "snapshot.db"
    with closing(sqlite3.connect(other.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))
    return path


def add_task(site: Site, name: str) -> None:
    """A task, put into the database of a site that nobody serves."""
    with closing(sqlite3.connect(site.database)) as connection:
        table = connection.execute("PRAGMA table_info(tasks)").fetchall()
        values = {
            column: {"datetime": "2026-01-01 00:00:00", "bool": 0}.get(kind, 1)
            for _, column, kind, is_required, _, is_key in table
            if is_required and not is_key
        }
        values |= {"name": name, "status": "PENDING"}
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO tasks ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )
        connection.commit()


def stage(site: Site, snapshot: Path) -> None:
    staged = site.manage("restore_db", str(snapshot), "--yes")
    assert staged.code == 0, staged.err


def outcomes(site: Site) -> list[str]:
    return [str(receipt["outcome"]) for receipt in site.receipts()]


def test_of_eight_commands_at_once_one_applies(site: Site, restored: Path) -> None:
    add_task(site, "old")
    stage(site, restored)
    commands = [
        subprocess.Popen(
            [sys.executable, "manage.py", "check"],
            cwd=CHECKOUT,
            env=environment(site.data),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    logs = [command.communicate(timeout=60)[1] for command in commands]
    assert [command.returncode for command in commands] == [0] * 8
    assert sum("restore applied" in log for log in logs) == 1, logs
    assert outcomes(site) == ["staged", "applied"]
    assert [task_names(kept) for kept in site.kept()] == [["old"]]
    assert task_names(site.database) == ["new"]


@pytest.mark.parametrize("command", ["backup", "restore_db"])
def test_commands_that_look_at_the_old_data_do_not_apply(
    command: str, site: Site, restored: Path, tmp_path: Path
) -> None:
    add_task(site, "old")
    stage(site, restored)
    if command == "backup":
        done = site.manage("backup", "-o", str(tmp_path / "last-look.db"))
        assert task_names(tmp_path / "last-look.db") == ["old"]
    else:
        done = site.manage("restore_db", "--discard", "--yes")
        assert site.names().isdisjoint({"tasks.db.pending-restore"})
    assert done.code == 0, done.err
    assert task_names(site.database) == ["old"]
    assert site.kept() == []


@contextmanager
def serving(site: Site, tmp_path: Path, *, preload: bool) -> Iterator[Server]:
    """Three workers, with the site's own configuration but for ``preload_app``."""
    site_config = CHECKOUT / "taskdog" / "gunicorn.conf.py"
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(
        f"__file__ = {str(site_config)!r}\n"
        f"exec(compile(open(__file__).read(), __file__, 'exec'))\n"
        f"preload_app = {preload}\n"
    )
    with site.serving("--config", str(config), TASKDOG_WORKERS="3") as server:
        workers: set[int] = set()
        while len(workers) < 3:
            workers.add(int(server.wait_for_log(r"Booting worker with pid: (\d+)")[1]))
        _wait_until(lambda: _present(server) >= workers)
        yield server
        server.kill()  # faster than to stop it: nothing here is about that


def _present(server: Server) -> set[int]:
    said = server.api("GET", "restore").json()["in_use_by"]
    return {int(pid) for who in said for pid in re.findall(r"pid (\d+)", str(who))}


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_server_with_three_workers_applies_once(
    preload: bool, site: Site, restored: Path, tmp_path: Path
) -> None:
    add_task(site, "old")
    stage(site, restored)
    with serving(site, tmp_path, preload=preload) as server:
        assert server.task_names() == ["new"]
    assert outcomes(site) == ["staged", "applied"]
    assert [task_names(kept) for kept in site.kept()] == [["old"]]
    assert "".join(server.log).count("restore applied") == 1


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_worker_that_is_replaced_swaps_nothing_under_its_siblings(
    preload: bool, site: Site, restored: Path, tmp_path: Path
) -> None:
    add_task(site, "old")
    with serving(site, tmp_path, preload=preload) as server:
        inode = os.stat(site.database).st_ino
        with restored.open("rb") as upload:
            assert server.api("POST", "restore", files={"file": upload}).status_code == 200
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        replacement = int(server.wait_for_log(r"Booting worker with pid: (\d+)")[1])
        _wait_until(lambda: replacement in _present(server))
        refused = site.manage("check")
        assert "is in use by pid" in refused.err
        assert server.task_names() == ["old"]
        server.add_task("still written")
        assert server.task_names() == ["old", "still written"]
        assert os.stat(site.database).st_ino == inode
    assert site.manage("check").code == 0
    assert task_names(site.database) == ["new"]
    assert [task_names(kept) for kept in site.kept()] == [["old", "still written"]]


def test_hup_with_a_request_under_way_loses_no_row(
    site: Site, restored: Path, tmp_path: Path
) -> None:
    """A HUP replaces the workers one by one; whether it applies is a race, losing is not."""
    with serving(site, tmp_path, preload=False) as server:
        with restored.open("rb") as upload:
            assert server.api("POST", "restore", files={"file": upload}).status_code == 200
        before = len(server.worker_pids())
        written = ["first"]
        server.add_task("first")
        os.kill(server.process.pid, signal.SIGHUP)
        while len(server.worker_pids()) < before + 3:
            written.append(f"during {len(written)}")
            server.add_task(written[-1])
    assert site.manage("check").code == 0
    kept = [name for path in site.kept() for name in task_names(path)]
    now = task_names(site.database)
    assert sorted([*kept, *now]) == sorted([*written, "new"])
    assert outcomes(site)[-1] == "applied"


def test_runserver_applies_once_and_its_parent_is_not_in_the_way(
    site: Site, restored: Path
) -> None:
    add_task(site, "old")
    stage(site, restored)
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "runserver", "127.0.0.1:0"],
        cwd=CHECKOUT,
        env=environment(site.data),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        log = []
        for line in process.stdout:
            log.append(line)
            if "Quit the server" in line:
                break
        assert "".join(log).count("restore applied") == 1, log
        # The reloader's parent is alive, and only its child is present.
        status = site.manage("restore_db", "--status").out
        holders = re.findall(r"pid (\d+) \(.*runserver", status)
        assert holders, status
        assert str(process.pid) not in holders
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert task_names(site.database) == ["new"]
    assert outcomes(site) == ["staged", "applied"]
