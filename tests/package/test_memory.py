"""Under an ASGI server, whose framework would collect a body in memory if it were left to it."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.package.projects import Project

pytestmark = pytest.mark.package

LARGE = 64  # MB
FLAT = 24 * 1024  # KiB that the server may take on top, whatever the database's size
USER = "INSERT INTO auth_user VALUES (1, '', NULL, 0, 'one', '', '', 0, 1, '2026-11-26', '')"
ROW = (
    "INSERT INTO django_admin_log (object_repr, action_flag, change_message, user_id, action_time)"
    " VALUES ('', 1, ?, 1, '2026-11-26')"
)


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A project with a large database."""
    project = template.copy(tmp_path / "project")
    with closing(sqlite3.connect(project.folder / "db.sqlite3")) as connection, connection:
        connection.execute(USER)
        connection.executemany(ROW, ((secrets.token_hex(500_000),) for _ in range(LARGE)))
    return project


def most_memory(pid: int) -> int:
    """The most that a process has had of its own at once, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_memory_stays_flat_both_ways_under_uvicorn(project: Project, tmp_path: Path) -> None:
    with project.serving("uvicorn") as site:
        site.status()  # what is imported at the first request is not what is measured
        before = most_memory(site.pid)
        snapshot = site.backup(tmp_path)
        site.restore(snapshot)
        assert snapshot.stat().st_size > LARGE * 1_000_000
        assert most_memory(site.pid) - before < FLAT
