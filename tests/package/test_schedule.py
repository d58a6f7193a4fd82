"""A schedule in a project of somebody else, under each server: one backup of all its processes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.backups.waiting import until
from tests.package.environments import SERVERS
from tests.package.projects import COMMANDS, Project

pytestmark = pytest.mark.package

SCHEDULE = """
BACKUPS_SCHEDULE = "@yearly"
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"backups": {"handlers": ["console"], "level": "INFO"}},
}
"""
LEADS = "this process starts the scheduled backups: "
UNDER = tuple({"pyuwsgi": "uwsgi"}.get(server, server) for server in SERVERS)


def done(project: Project) -> Any:
    """How the scheduled backup ended, once it has."""
    path = project.folder / "db.sqlite3.backups-state.json"
    state = json.loads(path.read_text()) if path.exists() else {}
    attempt = state.get("schedule", {}).get("attempt", {})
    return attempt if attempt.get("outcome") in ("done", "failed") else None


@pytest.mark.parametrize("server", UNDER)
def test_a_served_site_takes_its_backup_by_itself(
    template: Project, tmp_path: Path, server: str
) -> None:
    assert server in COMMANDS
    project = template.copy(tmp_path / "project")
    project.append("settings.py", SCHEDULE)
    with project.serving(server):
        attempt = until(lambda: done(project))
    log = (project.folder / f"{server}.log").read_text()
    assert attempt["outcome"] == "done", log
    assert log.count(LEADS) == 1
    [stored] = json.loads(project.manage("backups", "list", "--json").out)["backups"]
    assert stored["by"] == "schedule"
    assert stored["verification"]["outcome"] == "restorable"
