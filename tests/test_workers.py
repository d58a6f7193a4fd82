"""
Other processes: real servers of three workers, commands and shells around one pending restore.

A restore is applied by a process that is alone, and by no other; whatever is reloaded, recycled
or killed meanwhile, every task that was acknowledged is in the live database or in a kept copy.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.backups.uploads import add_tasks, snapshot_of
from tests.backups.waiting import until
from tests.processes import CHECKOUT, environment, gunicorn_command
from tests.site import Site, kill_group, task_names
from tests.workers import (
    PRELOAD,
    WORKERS,
    present,
    serving,
    stage,
    upload_under_way,
    wait_for_workers,
)
from tests.writers import Writers, check_every_task_is_kept_once

pytestmark = pytest.mark.proof

OLD = ["old"]
NEW = [f"new {number}" for number in range(300)]  # some pages: to mix the two would show


@pytest.fixture
def restored(site: Site, tmp_path: Path) -> Path:
    """A snapshot with the new tasks; then the site gets the old one."""
    path = snapshot_of(site, tmp_path / "snapshot.db", *NEW)
    add_tasks(site.database, *OLD)
    return path


def is_pending(site: Site) -> bool:
    return (site.data / "tasks.db.pending-restore").exists()


def check_applied_once(site: Site) -> None:
    assert site.conclusions() == ["applied"]
    assert len(site.kept()) == 1
    assert not is_pending(site)


def read_until(log: IO[str] | None, words: str) -> str:
    """What a process says up to the line with these words."""
    assert log is not None
    said = []
    for line in log:
        said.append(line)
        if words in line:
            return "".join(said)
    raise AssertionError(f"it ended without {words!r}:\n{''.join(said)}")


# Starts


def test_of_eight_commands_at_once_one_applies(site: Site, restored: Path) -> None:
    site.stage(restored)
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
    check_applied_once(site)
    assert task_names(site.kept()[0]) == OLD
    assert task_names(site.database) == NEW


@PRELOAD
def test_server_with_three_workers_applies_once(preload: bool, site: Site, restored: Path) -> None:
    site.stage(restored)
    with serving(site, preload=preload) as server:
        assert server.task_names() == NEW
    check_applied_once(site)
    assert task_names(site.kept()[0]) == OLD
    assert "".join(server.log).count("restore applied") == 1


def test_second_server_on_the_same_address_changes_nothing_and_is_named(
    site: Site, restored: Path
) -> None:
    with serving(site, preload=True) as server:
        stage(server, restored)
        command = [*gunicorn_command(), "--bind", server.url.removeprefix("http://")]
        with subprocess.Popen(
            command, env=environment(site.data), stderr=subprocess.PIPE, text=True
        ) as second:
            said = read_until(second.stderr, "Connection in use: ")
            waiting = server.api("GET", "restore").json()["waiting_for"]
            assert [who for who in waiting if who.startswith(f"pid {second.pid} (")]
            second.communicate()  # it tries for seconds
        assert second.returncode != 0
        for pid in (server.process.pid, *server.worker_pids()):
            assert re.search(rf"restore still pending, .* in use by .*pid {pid} \(", said), said
        assert second.pid not in present(site)
        server.add_task("still written")
        assert server.task_names() == [*OLD, "still written"]
    assert is_pending(site)
    assert site.kept() == []


# A server that goes on


@PRELOAD
def test_worker_that_is_replaced_swaps_nothing_under_its_siblings(
    preload: bool, site: Site, restored: Path
) -> None:
    with serving(site, preload=preload) as server:
        inode = os.stat(site.database).st_ino
        stage(server, restored)
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        wait_for_workers(site, server, 1)
        refused = site.manage("check")
        assert "is in use by pid" in refused.err
        server.add_task("still written")
        assert server.task_names() == [*OLD, "still written"]
        assert os.stat(site.database).st_ino == inode
        said = server.api("GET", "restore").json()
        assert said["status"] == "pending"
        waiting = {
            int(pid) for who in said["waiting_for"] for pid in re.findall(r"^pid (\d+)", who)
        }
        assert waiting == present(site)
        assert len(waiting) == WORKERS + preload
        for who in said["waiting_for"]:
            assert who in said["message"]
    assert site.manage("check").code == 0
    assert task_names(site.database) == NEW
    assert [task_names(kept) for kept in site.kept()] == [[*OLD, "still written"]]


@PRELOAD
def test_reloads_swap_nothing_under_a_worker_that_is_busy(
    preload: bool, site: Site, restored: Path
) -> None:
    """HUP: new workers, while one of the old ones still has a request."""
    with Writers(site) as writers, serving(site, preload=preload) as server:
        stage(server, restored)
        inode = os.stat(site.database).st_ino
        with upload_under_way(site, server) as busy:
            os.kill(server.process.pid, signal.SIGHUP)
            wait_for_workers(site, server)
            writers.write_to(server)
            writers.wait_for(20)
            assert is_pending(site)
            assert os.stat(site.database).st_ino == inode
            assert busy in present(site)
        if preload:  # without it, a worker may apply: one that comes up when the others are gone
            os.kill(server.process.pid, signal.SIGHUP)
            wait_for_workers(site, server)
            writers.wait_for(20)
            assert is_pending(site)
            assert os.stat(site.database).st_ino == inode
        server.stop()
    assert is_pending(site)
    check_every_task_is_kept_once(site, writers, old=OLD, new=NEW)


@PRELOAD
def test_workers_that_are_recycled_under_load_swap_nothing_under_one_that_is_busy(
    preload: bool, site: Site, restored: Path
) -> None:
    """
    The upload comes first: while no worker has a request they may all go at once, and then the
    next one, which is alone, applies. The busy one reaches its own ``max_requests`` as well.
    """
    with Writers(site) as writers:
        with serving(site, "--max-requests", "8", preload=preload) as server:
            inode = os.stat(site.database).st_ino
            with upload_under_way(site, server) as busy:
                stage(server, restored)
                writers.write_to(server)
                server.wait_for_log(rf"\[{busy}\].*Autorestarting worker")
                for _ in range(WORKERS):
                    server.wait_for_log(r"Booting worker")
                writers.wait_for(20)
                assert is_pending(site)
                assert os.stat(site.database).st_ino == inode
                assert busy in present(site)
            server.stop()
        with serving(site, preload=preload) as server:
            writers.write_to(server)
            writers.wait_for(20)
            assert NEW[0] in server.task_names()
    check_applied_once(site)
    check_every_task_is_kept_once(site, writers, old=OLD, new=NEW)


@pytest.mark.parametrize(
    "preload", [True, pytest.param(False, marks=pytest.mark.crash)], ids=["preload", "no preload"]
)
def test_upgrade_in_place_under_load_swaps_nothing(
    preload: bool, site: Site, restored: Path
) -> None:
    """USR2: a new master with workers of its own, beside the old ones, which then go."""
    with Writers(site) as writers, serving(site, preload=preload) as server:
        writers.write_to(server)
        stage(server, restored)
        inode = os.stat(site.database).st_ino
        os.kill(server.process.pid, signal.SIGUSR2)
        if preload:
            server.wait_for_log(r"restore still pending, .* is in use by pid")
        upgraded = wait_for_workers(site, server)
        writers.wait_for(20)
        server.process.terminate()
        server.process.wait(timeout=60)
        until(lambda: len(present(site)) == WORKERS + preload)
        assert present(site) >= upgraded
        writers.wait_for(20)
        assert os.stat(site.database).st_ino == inode
        server.kill()
    assert is_pending(site)
    assert site.kept() == []
    check_every_task_is_kept_once(site, writers, old=OLD, new=NEW)


# Others that are in the way


def test_worker_that_outlives_its_master_is_in_the_way_of_the_next_server(
    site: Site, restored: Path
) -> None:
    with serving(site, preload=True) as server:
        stage(server, restored)
        orphan = server.worker_pids()[0]
        os.kill(orphan, signal.SIGSTOP)  # or it would see soon that its master is gone, and end
        server.process.kill()
        until(lambda: present(site) == {orphan})
        with site.serving() as following:
            assert following.task_names() == OLD
            assert f"is in use by pid {orphan} (" in "".join(following.log)
            assert f"pid {orphan} (" in following.api("GET", "restore").json()["message"]
            following.stop()
    assert is_pending(site)
    with site.serving() as following:
        assert following.task_names() == NEW
    check_applied_once(site)


def test_long_shell_is_in_the_way_and_named_until_it_ends(site: Site, restored: Path) -> None:
    program = (
        "from taskdog.tasks.models import Task\n"
        "print(Task.objects.count(), flush=True)\n"
        "input()\n"
        "Task.objects.create(name='late, from the shell')\n"
    )
    with subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", program],
        cwd=CHECKOUT,
        env=environment(site.data),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "1\n"
        site.stage(restored)
        who = rf"pid {shell.pid} \(manage\.py shell\)"
        with site.serving() as server:
            assert re.search(f"restore still pending, .* is in use by {who}", "".join(server.log))
            said = server.api("GET", "restore").json()
            assert re.match(f"restart required; waiting for .*{who}", said["message"])
            status = site.manage("restore_db", "--status").out
            assert re.search(f"^Waiting for: .*{who}", status, re.MULTILINE)
            assert server.task_names() == OLD
            shell.communicate("end\n")
            assert server.task_names() == [*OLD, "late, from the shell"]
            waiting = server.api("GET", "restore").json()["waiting_for"]
            assert not [who for who in waiting if who.startswith(f"pid {shell.pid} ")]
    with site.serving() as server:
        assert server.task_names() == NEW
    check_applied_once(site)
    assert task_names(site.kept()[0]) == [*OLD, "late, from the shell"]


# The development server


@contextmanager
def developing(site: Site, settings: Path) -> Iterator["subprocess.Popen[str]"]:
    """``runserver`` with settings that can be touched: the autoreloader watches them."""
    settings.write_text("from taskdog.settings import *\n")
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "runserver", "127.0.0.1:0"],
        cwd=CHECKOUT,
        env=environment(
            site.data,
            DJANGO_SETTINGS_MODULE=settings.stem,
            PYTHONPATH=str(settings.parent),
            PYTHONUNBUFFERED="1",  # for the process that the reloader starts
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_group(process)
        process.communicate()


def test_development_server_applies_as_it_starts_and_as_it_reloads(
    site: Site, restored: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "watched_settings.py"
    site.stage(restored)
    with developing(site, settings) as process:
        assert read_until(process.stdout, "Quit the server").count("restore applied") == 1
        (child,) = present(site)
        assert child != process.pid, "the reloader's parent serves nothing and is in nobody's way"

        site.stage(restored)
        assert f"Waiting for: pid {child} (" in site.manage("restore_db", "--status").out
        settings.touch()
        log = read_until(process.stdout, "Quit the server")
        assert log.count("restore applied") == 1, log
        assert child not in present(site)
    assert task_names(site.database) == NEW
    assert site.conclusions() == ["applied", "applied"]
    assert [task_names(kept) for kept in site.kept()] == [OLD, NEW]
