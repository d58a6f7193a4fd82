"""A project with a field of every kind, made once for each process of the tests."""

from pathlib import Path

import pytest

from tests.postgres.move.project import Project
from tests.postgres.move.rich import make_rich
from tests.postgres.server import Server


@pytest.fixture(scope="session")
def template(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_rich(tmp_path_factory.mktemp("rich"), postgres)


@pytest.fixture
def rich(template: Project, tmp_path: Path) -> Project:
    """It, without rows of its own."""
    return template.copied_to(tmp_path / "rich")
