"""Presence between real processes. Whole sites and servers: tests/test_workers.py."""

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import Barrier
from pathlib import Path
from typing import IO

import pytest

from backups.sqlite.locking.presence import Holder, Presence
from tests.backups import builders
from tests.backups.stores import Store, new_snapshot, new_store


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


def test_child_of_a_fork_that_python_is_not_told_of_is_never_alone(
    lock: Path, presence: Presence
) -> None:
    """As a server in C forks. Its lock is its parent's too, and would not refuse it."""
    presence.join()
    answers, answer = os.pipe()
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        said = presence.try_alone(), [holder.pid for holder in presence.others()]
        os.write(answer, f"{said}\n".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(answer)
    with os.fdopen(answers) as lines:
        assert lines.readline() == f"{(False, [os.getpid()])}\n"
    assert presence.try_alone()


def test_child_of_one_that_is_alone_is_not_alone_and_leaves_its_parent_so(
    lock: Path, presence: Presence
) -> None:
    def work(requests: IO[str], answers: IO[str]) -> None:
        presence.share()  # as the end of an apply does
        print(presence.try_alone(), file=answers)
        requests.readline()

    assert presence.try_alone()
    with builders.forked(work) as (_, _, answers), builders.forked(present(lock)) as (_, _, other):
        assert answers.readline() == "False\n"
        waited, _, _ = select.select([other], [], [], 0.3)
        assert not waited, "another came in while the parent was alone"
        presence.share()
        assert other.readline() == "present\n"


def test_hold_ends_with_the_process_and_not_with_the_thread(lock: Path, presence: Presence) -> None:
    def work(requests: IO[str], answers: IO[str]) -> None:
        own = Presence(lock)
        thread = threading.Thread(target=own.join)
        thread.start()
        thread.join()
        print("present", file=answers)
        requests.readline()

    with builders.forked(work) as (_, _, answers):
        assert answers.readline() == "present\n"
        assert not presence.try_alone()
    assert presence.try_alone()


def test_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    presence = Presence(tmp_path / "nowhere" / "lock")
    with pytest.raises(FileNotFoundError):
        presence.join()
    with pytest.raises(FileNotFoundError):
        presence.try_alone()
    assert not presence.is_held


# Stores


def hold(store: Store) -> Callable[[IO[str], IO[str]], None]:
    """A process that has the store open until it is killed."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        store.real.hold_presence()
        print("present", file=answers)
        requests.readline()

    return work


def test_process_that_has_the_store_open_blocks_and_is_named(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    store.stage(new_snapshot(tmp_path))

    with builders.forked(hold(store)) as (pid, _, answers):
        answers.readline()
        receipt = store.start()
        assert receipt is not None
        assert receipt.outcome == "blocked"
        assert f"in use by pid {pid} (" in receipt.reason
        assert store.items() == ["old"]
    receipt = store.start()
    assert receipt is not None
    assert receipt.outcome == "applied"


def test_symbolic_link_and_the_real_name_have_one_lock(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.healthy(store.database, "old")
    (tmp_path / "elsewhere").mkdir()
    linked = Store(tmp_path / "elsewhere" / "link.db")
    linked.database.symlink_to(store.database)
    for holder, starter in ((store, linked), (linked, store)):
        starter.stage(builders.healthy(tmp_path / f"{starter.database.name}.new", "new"))
        with builders.forked(hold(holder)) as (pid, _, answers):
            answers.readline()
            receipt = starter.start()
            assert receipt is not None
            assert f"in use by pid {pid} (" in receipt.reason
        receipt = starter.start()
        assert receipt is not None
        assert receipt.outcome == "applied"
    assert linked.database.is_symlink()
    assert [path.name for path in linked.database.parent.iterdir()] == ["link.db"]


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
