"""A server that is restarted ends all locks, while those who hold them go on."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from backups.archive import job_records
from backups.archive.job_records import Job
from backups.exceptions import BusyError
from backups.postgres import locks
from tests.backups.waiting import until
from tests.postgres.kills.machines import present
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_store

pytestmark = pytest.mark.postgres

HOLDS = """
SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = 'backups lock: job 1'
"""
MANY = 1024  # open files, more than select(2) takes
JOB = Job("1", "store", "ann", "2026-11-26T10:00:00+00:00", has_begun=True)


@pytest.fixture
def store(own_postgres: Server, tmp_path: Path) -> Iterator[Store]:
    made = new_store(own_postgres, tmp_path / "machine", "old")
    yield made
    made.real.release_presence()


def restart(server: Server) -> None:
    """As an operator does."""
    server.shut_down()
    server.start()


def crash(server: Server) -> None:
    """Kill one session: the server ends all the others, and recovers, without a new start."""
    with psycopg.connect(server.conninfo("postgres")) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    until(lambda: answers(server))


def answers(server: Server) -> bool:
    """Whether it takes connections."""
    try:
        return server.admin("SELECT true") == [(True,)]
    except psycopg.OperationalError:
        return False


Trouble = Callable[[Server], None]
each_trouble = pytest.mark.parametrize("trouble", [restart, crash])


@each_trouble
def test_a_lock_that_the_server_has_ended_is_taken_again(store: Store, trouble: Trouble) -> None:
    with store.real.lock("run") as is_held:
        assert is_held()
        trouble(store.server)
        until(is_held)
        with pytest.raises(BusyError), store.real.lock("run"):
            pass
    with store.real.lock("run"):
        pass


@each_trouble
def test_who_holds_a_lock_sees_that_another_was_faster(
    store: Store, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOOK_SECONDS", 3600.0)
    with store.real.lock("leader") as is_held:
        assert is_held()
        trouble(store.server)
        assert not is_held()
        with store.real.lock("leader") as is_held_by_another:
            assert is_held_by_another()
            assert not is_held()


def test_a_lock_that_another_has_is_taken_when_it_is_free(store: Store) -> None:
    number = [locks.key_of("run")]
    with (
        store.real.lock("run") as is_held,
        psycopg.connect(store.server.conninfo(store.names.control), autocommit=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(other.execute, "SELECT pg_advisory_lock(%s)", number)
        until(lambda: store.server.admin("SELECT 1 FROM pg_locks WHERE NOT granted"))
        store.server.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'backups lock: run'"
        )
        waiting.result()
        assert not is_held()
        other.execute("SELECT pg_advisory_unlock(%s)", number)
        until(is_held)


def test_a_lock_of_a_process_with_many_open_files_is_held(store: Store) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 100), hard))
    with ExitStack() as files:
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(MANY):
            files.enter_context(open(os.devnull, "rb"))
        with store.real.lock("run") as is_held:
            assert is_held()


@each_trouble
def test_a_job_is_not_called_stopped_because_the_server_was(
    store: Store, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "AGAIN_SECONDS", 3600.0)
    job_records.write(store.real, JOB)
    held = ExitStack()

    def is_running() -> bool:
        return job_records.alive(store.real, JOB).is_running

    def work() -> None:
        held.enter_context(store.real.lock(f"job {JOB.id}", outside=True))

    with present(store, work) as pid:
        assert is_running()
        os.kill(pid, signal.SIGSTOP)  # so that it can't take its lock again yet
        try:
            trouble(store.server)
            assert is_running()
        finally:
            os.kill(pid, signal.SIGCONT)
        monkeypatch.setattr(locks, "AGAIN_SECONDS", 0.0)
        until(lambda: store.server.admin(HOLDS))
        assert is_running()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_running())


def test_a_lock_and_a_turn_are_free_as_soon_as_they_are_let_go(store: Store) -> None:
    def let_go(name: str) -> None:
        if name == "leader":
            with store.real.lock(name):
                pass
        else:
            locks.Turn(
                store.control, "upload", at_once=1, refused=lambda: BusyError("taken")
            ).close()

    with store.control.session() as other:
        for name in ("leader", "upload 0") * 20:  # the server may happen to be fast
            let_go(name)
            assert locks.try_lock(other, name)
            other.execute("SELECT pg_advisory_unlock_all()")
