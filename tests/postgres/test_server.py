"""The servers that the tests start: real, not root's, and gone when the tests are."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.postgres.programs import CHECKOUT
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

STARTS_ONE = """
from tests.postgres.programs import found
from tests.postgres.server import new_server
with new_server(next(iter(found()))) as server:
    print(server._process.pid, server.folder, flush=True)
    input()
"""


def test_the_role_owns_its_database_and_is_no_superuser(postgres: Server) -> None:
    name = postgres.make_database()
    with psycopg.connect(postgres.url(name)) as connection:
        connection.execute("CREATE TABLE made (id int)")
        row = connection.execute(
            "SELECT current_setting('is_superuser'), current_setting('server_version_num')::int"
        ).fetchone()
    assert row is not None
    assert (row[0], row[1] // 10000) == ("off", postgres.version)
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(postgres.conninfo(name)) as connection,
    ):
        connection.execute("CREATE ROLE another")


def test_it_does_not_run_as_root(postgres: Server) -> None:
    pid = int((postgres.data / "postmaster.pid").read_text().split()[0])
    assert Path(f"/proc/{pid}").stat().st_uid == postgres.data.stat().st_uid != 0


def test_after_kill_9_it_has_what_was_committed(own_postgres: Server) -> None:
    name = own_postgres.make_database()
    with psycopg.connect(own_postgres.conninfo(name), autocommit=True) as connection:
        connection.execute("CREATE TABLE made AS SELECT 7 AS id")
        own_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not own_postgres.is_running()
    own_postgres.start()
    assert own_postgres.admin("SELECT id FROM made", name) == [(7,)]
    own_postgres.shut_down()


def test_a_disk_that_is_full_is_an_error_and_nothing_is_lost(small_postgres: Server) -> None:
    name = small_postgres.make_database()
    small_postgres.admin("CREATE TABLE made AS SELECT 7 AS id", name)
    rows = "SELECT repeat(md5(i::text), 60) FROM generate_series(1, 500000) AS i"  # a gigabyte
    # Unlogged: a server that has no room for its log of changes ends itself.
    with pytest.raises(psycopg.errors.DiskFull):
        small_postgres.admin(f"CREATE UNLOGGED TABLE large AS {rows}", name)
    assert small_postgres.admin("SELECT id FROM made", name) == [(7,)]


def test_none_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    tests = subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tests.stdout
    assert tests.stdin
    with tests.stdin, tests.stdout:
        pid, folder = tests.stdout.readline().split()
        end = os.pidfd_open(int(pid))
        tests.kill()
        tests.wait()
        assert select.select([end], [], [], 20)[0], "the server is there"
        os.close(end)
    shutil.rmtree(folder)
