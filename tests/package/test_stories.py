"""A backup, a restore, a restart, an undo and a restore without a restart, under each server."""

import shlex
from itertools import product
from pathlib import Path
from typing import Protocol

import pytest

from tests.package.projects import COMMANDS, Project, Served

pytestmark = pytest.mark.package


class Way(Protocol):
    """How somebody takes a snapshot, and puts it back."""

    def backup(self, folder: Path) -> Path: ...
    def restore(self, snapshot: Path, *, now: bool = False) -> object: ...
    def undo(self, *, now: bool = False) -> object: ...


class ByCommand:
    """By ``manage.py``, on this machine's store or, with --url, on the server's."""

    def __init__(self, project: Project, *options: str) -> None:
        self._project = project
        self._options = options

    def backup(self, folder: Path) -> Path:
        return Path(self._run("backup", "-o", str(folder)))

    def restore(self, snapshot: Path, *, now: bool = False) -> str:
        return self._run("restore_db", str(snapshot), "--yes", *["--now"] * now)

    def undo(self, *, now: bool = False) -> str:
        return self._run("restore_db", "--undo", "--yes", *["--now"] * now)

    def _run(self, *arguments: str) -> str:
        ended = self._project.manage(*arguments, *self._options, BACKUPS_KEY=self._project.key)
        return ended.out.strip()


def way_to(name: str, project: Project, site: Served) -> Way:
    if name == "http":
        return site
    return ByCommand(project, *shlex.split({"--url": f"--url {site.url}"}.get(name, "--local")))


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A project of the test's own."""
    return template.copy(tmp_path / "project")


@pytest.mark.parametrize(
    ("server", "way"),
    # uWSGI closes the connection after each answer, so it is the hardest server for --url.
    [*product(COMMANDS, ("http", "manage.py")), ("uwsgi", "--url")],
)
def test_site_is_backed_up_and_restored_and_back(
    server: str, way: str, project: Project, tmp_path: Path
) -> None:
    with project.serving(server) as site:
        site.add("saved")
        snapshot = way_to(way, project, site).backup(tmp_path)
        site.add("new")
        way_to(way, project, site).restore(snapshot)
        assert site.names() == ["saved", "new"], "it is staged, and nothing has changed"
    assert project.rows() == ["saved", "new"]

    with project.serving(server) as site:  # the restart applies it
        assert site.names() == project.rows() == ["saved"]
        way_to(way, project, site).undo()
        assert site.names() == ["saved"]

    with project.serving(server) as site:
        assert site.names() == project.rows() == ["saved", "new"]
        way_to(way, project, site).restore(snapshot, now=True)
        assert site.names() == project.rows() == ["saved"]
        way_to(way, project, site).undo(now=True)
        assert site.names() == project.rows() == ["saved", "new"]
        site.add("later")
    assert project.rows() == ["saved", "new", "later"]
