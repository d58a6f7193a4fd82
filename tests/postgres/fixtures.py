"""Fixtures for every test that needs PostgreSQL. `make postgres-test` runs those."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import left_out, of_folder, programs
from tests.postgres.server import Server, new_server
from tests.postgres.sites import another_machine, make_site
from tests.postgres.small_disk import SMALL_LOG, can_be_mounted, small_disk
from tests.postgres.standby import standby_of
from tests.site import Site

SERVERS = {"postgres", "own_postgres", "small_postgres"}  # fixtures, each with a server
SMALL = {"small_postgres", "small_folder", "small_space"}  # fixtures that mount a small disk


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try a test with each version that is here, or with the one that it needs."""
    for fixture in SERVERS & set(metafunc.fixturenames):
        needed = metafunc.definition.get_closest_marker("postgres_version")
        versions = [each for each in programs.found() if not needed or each in needed.args]
        own = fixture != "postgres"
        metafunc.parametrize(
            fixture,
            versions or [None],
            indirect=True,
            scope="function" if own else "session",
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those for which a version or a small disk is not here; ``programs`` says so."""
    out = [item for item in items if _lacks(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _lacks(item: pytest.Item) -> bool:
    if of_folder.NAMED in os.environ and left_out.reason_for(item.nodeid):
        return True
    if SMALL & set(getattr(item, "fixturenames", ())) and not can_be_mounted():
        return True
    needed = item.get_closest_marker("postgres_version")
    return needed is not None and not set(needed.args) & set(programs.found())


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that every test of this process shares: leave it as it was."""
    with new_server(_version(request)) as server:
        yield server


@pytest.fixture
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, to be killed: it syncs as a site's does."""
    with new_server(_version(request), durable=True) as server:
        yield server


@pytest.fixture
def small_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, whose disk is full after some ``small_disk.MEGABYTES``."""
    with (
        tempfile.TemporaryDirectory(prefix="disk-") as folder,
        small_disk(Path(folder)) as place,
    ):
        Path(folder).chmod(0o755)
        place.chmod(0o755)
        with new_server(_version(request), *SMALL_LOG, within=place) as server:
            yield server


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of one megabyte."""
    with small_disk(tmp_path, megabytes=1) as place:
        yield place


@pytest.fixture
def small_space(own_postgres: Server) -> Iterator[str]:
    """A tablespace on a disk of some megabytes: when that is full, the server still runs."""
    with (
        tempfile.TemporaryDirectory(prefix="disk-") as folder,
        small_disk(Path(folder), megabytes=24) as place,
    ):
        Path(folder).chmod(0o755)
        programs.give(place)
        own_postgres.admin(f"CREATE TABLESPACE small LOCATION '{place}'")
        own_postgres.admin(f"GRANT CREATE ON TABLESPACE small TO {own_postgres.role}")
        yield "small"
        own_postgres.stop()


def _version(request: pytest.FixtureRequest) -> int:
    assert request.param is not None, "no PostgreSQL is here: make postgres-test installs one"
    version: int = request.param
    return version


@pytest.fixture
def standby(postgres: Server) -> Iterator[Server]:
    """A standby of the shared server."""
    with standby_of(postgres) as server:
        yield server


@pytest.fixture
def two_machines(postgres: Server, tmp_path: Path) -> tuple[Site, Site]:
    """Two web machines on one database."""
    site = make_site(postgres, tmp_path / "first")
    return site, another_machine(site, tmp_path / "second")
