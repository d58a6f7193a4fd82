"""pg_dump and pg_restore end with the process that waits for them, however it ends."""

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from backups.exceptions import ChildFailedError, ChildNotStartedError, DatabaseServerError
from backups.postgres.running import run
from tests.backups.waiting import SECONDS, until
from tests.postgres.stores import Store

pytestmark = pytest.mark.postgres

WAITING = """
SELECT pid FROM pg_stat_activity
WHERE datname = '{}' AND application_name = 'backups' AND wait_event_type = 'Lock'
"""


def test_pg_dump_ends_with_a_process_that_is_killed(store: Store) -> None:
    """It waits for a table, and nobody else would end it."""
    with store.connect() as locking:
        locking.execute("LOCK TABLE accounts")
        parent = os.fork()
        if not parent:
            with suppress(BaseException):
                store.snapshot()
            os._exit(1)
        until(lambda: store.server.admin(WAITING.format(store.database)))
        [child] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        assert Path(f"/proc/{child}/comm").read_text() == "pg_dump\n"
        end = os.pidfd_open(int(child))
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert select.select([end], [], [], SECONDS)[0]
        os.close(end)
        until(lambda: not store.server.admin(WAITING.format(store.database)))


def test_a_server_that_ends_the_session_is_not_called_a_damaged_database(store: Store) -> None:
    """E.g. since it is restarted, or a restore is applied now."""
    end = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store.database}'"
    )
    with store.connect() as locking, ThreadPoolExecutor() as threads:
        locking.execute("LOCK TABLE accounts")
        snapshot = threads.submit(store.snapshot)
        until(lambda: store.server.admin(WAITING.format(store.database)))
        store.server.admin(end)
        with pytest.raises(DatabaseServerError, match="session of the snapshot"):
            snapshot.result()
        locking.close()
    assert store.temporaries() == []


def test_a_program_that_another_has_ended_is_not_called_a_damaged_dump(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    with pytest.raises(ChildFailedError, match="stopped by signal 9"):
        run(words, {})


def test_a_program_that_can_not_run_is_named(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_bytes(b"")
    program.chmod(0o700)
    with pytest.raises(ChildNotStartedError, match=f"{program} could not be started: Exec format"):
        run([str(program)], {})


def test_what_is_given_up_has_time_to_say_goodbye(tmp_path: Path) -> None:
    said = tmp_path / "said"
    words = [
        sys.executable,
        "-c",
        "import signal, sys, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], 'w').close(), sys.exit()));"
        "open(sys.argv[2], 'w').close();"
        "time.sleep(60)",
        str(said),
        str(tmp_path / "begun"),
    ]

    def watch() -> None:
        if (tmp_path / "begun").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(words, {}, watch=watch)
    assert said.exists()


def test_it_may_take_only_so_long() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(["/bin/sleep", "60"], {}, seconds=0.3)
