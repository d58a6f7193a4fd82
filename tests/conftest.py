"""Sites and servers for every test that wants one."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.keys import wrong_keys
from tests.site import Server, Site, copy_site, make_site

# A shell ignores Ctrl-C in what it runs in the background, and so would every process that a test
# starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.postgres.fixtures"]
WHOLE_MODULE = re.compile(r"^pytestmark = pytest\.mark\.(\w+)", re.MULTILINE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: a test often waits, for a process or for a time to pass."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a module out if nobody wants what is in it: its imports take long, or are missing."""
    expression = str(config.getoption("markexpr"))
    unwanted = set(expression.split(" and "))
    wanted = expression if expression.isidentifier() else ""  # this mark, and nothing else
    if collection_path.name == "browser":  # what drives one need not even be installed
        return "not browser" in unwanted or wanted not in ("", "browser") or None
    if " or " in expression or not collection_path.match("test_*.py"):
        return None
    text = collection_path.read_text()
    if wanted and f"pytest.mark.{wanted}" not in text:
        return True
    marks = WHOLE_MODULE.findall(text)
    return any(f"not {mark}" in unwanted for mark in marks) or None


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
