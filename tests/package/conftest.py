"""One environment for each pair of a Python and a Django, and in it one project to be copied."""

from typing import Any, NamedTuple

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.package.environments import Environment, Pair, pairs
from tests.package.projects import Project, install
from tests.package.readme import read_lines
from tests.processes import Finished

NOWHERE = "http://127.0.0.1:1"
SCRIPT = "from backups.client import BackupClient"


class Plain(NamedTuple):
    """What there is, and what was said, before the extra ``cli`` is installed."""

    project: Project
    before: set[str]  # packages that were installed before ours
    packages: set[str]
    printed: list[Finished]  # by the README's commands
    backup: Finished  # --url
    restore: Finished  # --url
    client: Finished  # imported by a script


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """
    Where tests run at once, all of a pair run in one process, and share its environment.

    Not by ``--dist loadgroup``, which does nothing with pytest 9.2.
    """
    scheduler: Any = LoadScopeScheduling(config, log)
    scheduler._split_scope = _pair_of
    return scheduler


def _pair_of(test: str) -> str:
    return next((pair.name for pair in pairs() if f"[{pair.name}" in test), test)


@pytest.fixture(scope="session", params=pairs(), ids=lambda pair: pair.name)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A project that follows the README."""
    pair: Pair = request.param
    folder, lines = tmp_path_factory.mktemp(pair.name), read_lines()
    environment = Environment(pair, folder / "environment")
    before = environment.packages()
    project = Project.start(folder / "project", environment)
    install(environment, lines, folder)
    printed = project.follow(lines)
    project.key = printed[0].out.strip()
    return Plain(
        project,
        before,
        environment.packages(),
        printed,
        project.manage("backup", "--url", NOWHERE, code=None, BACKUPS_KEY="key"),
        project.manage("restore_db", "--status", "--url", NOWHERE, code=None, BACKUPS_KEY="key"),
        environment.run(folder, "python", "-c", SCRIPT, code=None),
    )


@pytest.fixture(scope="session")
def template(plain: Plain) -> Project:
    """The same project, with the extra ``cli`` installed."""
    environment = plain.project.environment
    install(environment, read_lines(), environment.bin, extra="[cli]")
    return plain.project
