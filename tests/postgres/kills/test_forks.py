"""Gunicorn's master and workers are present as one family, with the master's session."""

import os
import signal
from pathlib import Path

import pytest

from tests.backups.waiting import until
from tests.postgres.server import Server
from tests.postgres.sites import database_name, make_site
from tests.processes import run_python

pytestmark = pytest.mark.postgres

PRESENT = """
SELECT pid, application_name FROM pg_stat_activity
WHERE application_name LIKE 'present: %' ORDER BY pid
"""
# What a session that two processes use at once, or end for each other, makes either side say.
BROKEN = (
    *("server closed the connection", "lost synchronization", "ResourceWarning"),
    *("unexpected EOF", "invalid frontend message", "Exception ignored"),
)


def test_a_family_is_present_until_its_last_one_has_ended(
    own_postgres: Server, tmp_path: Path
) -> None:
    postgres = own_postgres  # whose log has nothing of what other tests have killed
    site = make_site(postgres, tmp_path / "data")
    begin = postgres.log.stat().st_size
    with site.serving() as server:
        server.add_task("before")
        [(session, name)] = postgres.admin(PRESENT)
        assert f"({server.process.pid})" in name

        for how in (signal.SIGTERM, signal.SIGKILL):
            before = server.worker_pids()
            os.kill(before[-1], how)
            server.wait_for_log("Booting worker")
            server.add_task(f"after {how.name}")
        assert postgres.admin(PRESENT) == [(session, name)]

        old = set(_children(server.process.pid))
        server.process.send_signal(signal.SIGHUP)  # new workers; the old ones end
        server.wait_for_log("Booting worker")
        server.add_task("after a reload")

        def are_new() -> bool:
            now = set(_children(server.process.pid))
            return len(now) == len(old) and not now & old

        until(are_new)
        assert postgres.admin(PRESENT) == [(session, name)]

        workers = [int(pid) for pid in _children(server.process.pid)]
        os.kill(workers[0], signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        os.kill(workers[1], signal.SIGKILL)
        assert postgres.admin(PRESENT) == [(session, name)], "a worker is left"
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: postgres.admin(PRESENT) == [])
        rows = postgres.admin("SELECT name FROM tasks ORDER BY id", database_name(site))
        assert [name for (name,) in rows] == [
            "before",
            "after SIGTERM",
            "after SIGKILL",
            "after a reload",
        ]
    said = "".join(server.log) + postgres.log.read_bytes()[begin:].decode()
    assert [words for words in BROKEN if words in said] == []


FORK = """
import os, sys
from pathlib import Path
from tests.postgres.server import Server
from tests.postgres.stores import Store
server = Server(15, Path(), Path(), (), *sys.argv[1:2], port=int(sys.argv[2]))
store = Store(server, sys.argv[3], Path(sys.argv[4])).real
store.hold_presence()
mine = store.get_status().present
for each in range(2):
    pid = os.fork()
    if not pid:
        store.hold_presence()
        assert store.get_status().present, "it is of the family"
        store.release_presence()
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0
store.regain_presence()
assert store.get_status().present == mine
assert len(mine) == 1
"""


def test_a_fork_that_ends_leaves_the_session_alone(postgres: Server, tmp_path: Path) -> None:
    name = postgres.make_database()
    words = [postgres.password, str(postgres.port), name, str(tmp_path)]
    done = run_python("-X", "dev", "-W", "error", "-c", FORK, *words, data_dir=tmp_path)
    assert (done.code, [words for words in BROKEN if words in done.err]) == (0, []), done.err
    assert postgres.admin(PRESENT) == []


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
