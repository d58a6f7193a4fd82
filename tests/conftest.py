"""Sites and servers for every test that wants one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.keys import wrong_keys
from tests.site import Server, Site, copy_site, make_site

# A shell ignores Ctrl-C in what it runs in the background, and so would every process that a test
# starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def template_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that is migrated once, to be copied."""
    return make_site(tmp_path_factory.mktemp("template") / "data")


@pytest.fixture(autouse=True)
def _no_wrong_keys_before() -> None:
    """Each test begins with no wrong key counted in this process."""
    wrong_keys.cache.clear()


@pytest.fixture
def site(template_site: Site, tmp_path: Path) -> Site:
    """A site of the test's own, with no task in it."""
    return copy_site(template_site, tmp_path / "data")


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """The site of this test, served."""
    with site.serving() as running:
        yield running


@pytest.fixture
def snapshot(template_site: Site, tmp_path: Path) -> Path:
    """A good snapshot with one task, 'from the snapshot', taken from another site."""
    other = copy_site(template_site, tmp_path / "other")
    with other.serving() as running:
        running.add_task("from the snapshot")
        path = tmp_path / "snapshot.db"
        path.write_bytes(running.api("GET", "backup").content)
    return path
