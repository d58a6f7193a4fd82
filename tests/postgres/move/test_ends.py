"""Whatever ends a move: no process of it stays, no session, and the caller knows why."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres.move.project import Project
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

PATIENCE = 60.0  # seconds; what is waited for takes one or two

# In PostgreSQL a value says who writes it, then waits: in the middle of a COPY.
MODELS = """
import os
from django.db import models

waited = []


class Slow(models.Field):
    def db_type(self, connection):
        return "varchar(20)" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value, expression, connection):
        return value

    def get_db_prep_value(self, value, connection, prepared=False):
        if value == "wait" and connection.vendor == "postgresql" and not waited:
            waited.append(True)
            with open("who", "w") as who:
                who.write(str(os.getpid()))
            open("never").close()
        return value


class Thing(models.Model):
    name = Slow()
"""


@pytest.fixture
def slow(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project whose rows wait for the test."""
    fixture = "own_postgres" if "own_postgres" in request.fixturenames else "postgres"
    server: Server = request.getfixturevalue(fixture)
    if not server.is_running():  # another test has ended it
        server.start()
    project = Project(tmp_path, server, ("slow",))
    project.app("slow", MODELS, migrations={})
    project.run("manage.py", "makemigrations", "slow", "-v0")
    project.migrate()
    project.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO slow_thing (name) SELECT iif(i = 4000, 'wait', 'a name') FROM n"
    )
    for name in ("who", "never"):
        os.mkfifo(project.folder / name)
    return project


@contextmanager
def moving(project: Project, *, seconds: float = 120) -> Iterator["subprocess.Popen[str]"]:
    """A move that is in the middle of its rows."""
    project.database = project.server.make_database()
    words = str(project.file), project.database, str(seconds), *project.applied()
    process = subprocess.Popen(
        [sys.executable, "move.py", *words],
        cwd=project.folder,
        env=project.environment(project.server.make_database()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def child_of(project: Project) -> int:
    """Wait until the child writes its rows. Its process."""
    return int((project.folder / "who").read_text())


def wait_for(child: int) -> None:
    """Until a process has ended."""
    try:
        end = os.pidfd_open(child)
    except ProcessLookupError:
        return
    try:
        assert select.select([end], [], [], PATIENCE)[0]
    finally:
        os.close(end)


def check_no_session(project: Project) -> None:
    """A database can be dropped only when nobody is connected; PostgreSQL waits five seconds."""
    project.server.admin(f"DROP DATABASE {project.database}")


def answer_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    answer = json.loads(out)
    return answer["error"], answer["message"]


def test_killed_child_leaves_nothing_that_runs(slow: Project, postgres: Server) -> None:
    with moving(slow) as process:
        os.kill(child_of(slow), signal.SIGKILL)
        error, message = answer_of(process)
    assert error == "MigrationStoppedError"
    assert "was killed" in message
    check_no_session(slow)


def test_child_ends_with_the_process_that_waits_for_it(slow: Project, postgres: Server) -> None:
    with moving(slow) as process:
        child = child_of(slow)
        process.kill()
        wait_for(child)
    check_no_session(slow)


def test_time_limit_ends_it(slow: Project, postgres: Server) -> None:
    with moving(slow, seconds=8) as process:
        child = child_of(slow)
        error, message = answer_of(process)
        wait_for(child)
    assert error == "MigrationStoppedError"
    assert "did not end within 8 seconds" in message
    check_no_session(slow)


def test_watch_ends_it(slow: Project, postgres: Server) -> None:
    path = slow.folder / "move.py"
    path.write_text(path.read_text().replace("watch=lambda: None", "watch=look"))
    path.write_text(
        "import os\ndef look():\n    if os.path.exists('stop'): raise KeyError('enough')\n"
        + path.read_text()
    )
    with moving(slow) as process:
        child = child_of(slow)
        (slow.folder / "stop").touch()
        wait_for(child)
        _, err = process.communicate(timeout=PATIENCE)
    assert "KeyError: 'enough'" in err
    check_no_session(slow)


@pytest.mark.parametrize("how", ["ended session", "killed server"])
def test_server_that_goes_away_is_the_reason(slow: Project, own_postgres: Server, how: str) -> None:
    with moving(slow) as process:
        child_of(slow)
        if how == "killed server":
            own_postgres.kill()
        else:
            own_postgres.admin(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{slow.database}'"
            )
        with open(slow.folder / "never", "w"):
            pass
        error, _ = answer_of(process)
    assert error == "DatabaseServerError"


def test_server_that_is_not_there_is_the_reason(slow: Project, own_postgres: Server) -> None:
    own_postgres.admin("SELECT 1")
    slow.database = "none"
    out = slow.run("move.py", str(slow.file), "none", "60", on="none")
    assert json.loads(out)["error"] == "DatabaseServerError"
    own_postgres.shut_down()
    out = slow.run("move.py", str(slow.file), "none", "60", on="none")
    assert json.loads(out)["error"] == "DatabaseServerError"


def test_site_that_can_t_be_set_up_is_the_reason(slow: Project, postgres: Server) -> None:
    slow.write("slow/apps.py", "raise RuntimeError('of the site')")
    slow.database = postgres.make_database()
    out = json.loads(slow.run("move.py", str(slow.file), slow.database, "60", on=slow.database))
    assert out["error"] == "RestoreBlockedError"
    assert "of the site" in out["message"]


def test_role_s_own_limits_do_not_end_it(slow: Project, own_postgres: Server) -> None:
    role = own_postgres.role
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        own_postgres.admin(f"ALTER ROLE {role} SET {name} = '200ms'")
    with moving(slow) as process:
        child_of(slow)
        own_postgres.admin("SELECT pg_sleep(0.5)")  # what is tried is time itself
        with open(slow.folder / "never", "w"):
            pass
        out, _ = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["rows"]["slow_thing"] == 5000
