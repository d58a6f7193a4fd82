"""A browser for all tests, and a site with staff."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.backups.page.visitor import add_user
from tests.backups.uploads import add_tasks, snapshot_of
from tests.browser import chromium
from tests.browser.chromium import PASSWORD
from tests.site import Server, Site


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser saves what it downloads."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def running(downloads: Path) -> Iterator[Chrome]:
    with chromium.started(downloads=downloads) as driver:
        yield driver


@pytest.fixture
def browser(running: Chrome) -> Iterator[Chrome]:
    """The browser, knowing nobody."""
    chromium.show(running)
    yield running
    running.execute_cdp_cmd("Network.clearBrowserCookies", {})
    running.get("about:blank")
    assert chromium.errors(running, of_answers=False) == []


@pytest.fixture(scope="session")
def plain() -> Iterator[Chrome]:
    """A browser that runs no scripts."""
    with chromium.started(scripts=False) as driver:
        yield driver


@pytest.fixture
def without_scripts(plain: Chrome) -> Iterator[Chrome]:
    """That browser, knowing nobody."""
    yield plain
    plain.execute_cdp_cmd("Network.clearBrowserCookies", {})
    assert chromium.errors(plain, of_answers=False) == []


@pytest.fixture
def site_with_staff(site: Site) -> Site:
    """Ann is a superuser, bob is staff. There is one task, "live"."""
    finished = site.manage(
        *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert finished.code == 0, finished.err
    add_user(site.database, "bob")
    add_tasks(site.database, "live")
    return site


@pytest.fixture
def served(site_with_staff: Site) -> Iterator[Server]:
    """That site, with two workers."""
    with site_with_staff.serving(TASKDOG_WORKERS="2") as server:
        server.http.headers["Connection"] = "close"
        yield server


@pytest.fixture
def good(template_site: Site, tmp_path: Path) -> Path:
    """A snapshot of another site: it knows no user of this one."""
    return snapshot_of(template_site, tmp_path / "good.db", "restored")


@pytest.fixture
def earlier(site_with_staff: Site, tmp_path: Path) -> Path:
    """A snapshot of this site, with one more task."""
    return snapshot_of(site_with_staff, tmp_path / "earlier.db", "more")
