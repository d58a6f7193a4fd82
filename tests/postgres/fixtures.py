"""Fixtures for every test that needs PostgreSQL. `make postgres-test` runs those."""

from collections.abc import Iterator

import pytest

from tests.postgres import programs
from tests.postgres.server import Server, new_server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try a test with each version that is here, or with the one that it needs."""
    fixture = "own_postgres" if "own_postgres" in metafunc.fixturenames else "postgres"
    if fixture in metafunc.fixturenames:
        needed = metafunc.definition.get_closest_marker("postgres_version")
        versions = [each for each in programs.found() if not needed or each in needed.args]
        metafunc.parametrize(fixture, versions or [None], indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those for which no version is here; `make postgres-test` says so."""
    out = [item for item in items if _lacks_version(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _lacks_version(item: pytest.Item) -> bool:
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


def _version(request: pytest.FixtureRequest) -> int:
    assert request.param is not None, "no PostgreSQL is here: make postgres-test installs one"
    version: int = request.param
    return version
