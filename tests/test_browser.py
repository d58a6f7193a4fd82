"""A person with a browser: the pages as Chromium shows them, on a real server."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Server, Site, task_names

pytestmark = pytest.mark.browser

SECONDS = 20
PASSWORD = "correct horse"
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # a container has no user namespaces for it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1200,1400",
)


def program(name: str) -> str:
    """Where a program is; a machine without it fails the test, and says what to install."""
    path = shutil.which(name)
    assert path, f"{name} is not installed. On Debian: apt-get install chromium chromium-driver"
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for option in OPTIONS:
        options.add_argument(option)
    driver = Chrome(options=options, service=Service(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """The browser, knowing nobody."""
    yield chromium
    chromium.delete_all_cookies()
    chromium.get("about:blank")


@pytest.fixture
def site_with_staff(site: Site) -> Site:
    finished = site.manage(
        *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert finished.code == 0, finished.err
    add_tasks(site.database, "live")
    return site


@pytest.fixture
def good(template_site: Site, tmp_path: Path) -> Path:
    return snapshot_of(template_site, tmp_path / "good.db", "restored")


def find(browser: Chrome, selector: str) -> WebElement:
    """Wait for an element to be there."""
    wait = WebDriverWait(browser, SECONDS)
    return wait.until(presence_of_element_located((By.CSS_SELECTOR, selector)))


def press(browser: Chrome, selector: str) -> None:
    """Press a button that leads to another page, and wait for the whole of that."""
    browser.execute_script("document.documentElement.isLeft = true")
    find(browser, selector).click()
    # Between two pages the driver can answer with any error; the next look is at the new one.
    wait = WebDriverWait(browser, SECONDS, ignored_exceptions=[WebDriverException])
    arrived = "return !document.documentElement.isLeft && document.readyState === 'complete'"
    wait.until(lambda _: browser.execute_script(arrived))
    photograph(browser)


def log_in(browser: Chrome, server: Server) -> None:
    """Open the page as a stranger, and take the way that it shows."""
    browser.get(f"{server.url}/api/v1/restore")
    assert "API key required" in shown(browser)
    browser.find_element(By.PARTIAL_LINK_TEXT, "Log in").click()
    find(browser, "input[name=username]").send_keys("ann")
    find(browser, "input[name=password]").send_keys(PASSWORD)
    press(browser, "input[type=submit]")
    assert browser.current_url == f"{server.url}/api/v1/restore"


def upload(browser: Chrome, path: Path) -> None:
    find(browser, "input[type=file][name=file]").send_keys(str(path))
    press(browser, "form[enctype='multipart/form-data'] button")


def shown(browser: Chrome) -> str:
    """The answer that the page shows, as text."""
    return find(browser, ".response-info").text


def errors(browser: Chrome) -> list[str]:
    """What the browser has complained about since the last time."""
    log: Any = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


def photograph(browser: Chrome) -> None:
    """Keep a picture of each page in the folder that BROWSER_PICTURES names, to look at."""
    if folder := os.environ.get("BROWSER_PICTURES"):
        number = len(list(Path(folder).iterdir()))
        browser.save_screenshot(f"{folder}/{number:02}.png")


def test_staff_restore_a_snapshot_with_the_form(
    browser: Chrome, site_with_staff: Site, good: Path
) -> None:
    site = site_with_staff
    with site.serving() as server:
        log_in(browser, server)
        assert "no restore is pending" in shown(browser)
        upload(browser, good)
        assert "200 OK" in shown(browser)
        assert "restart required" in shown(browser)
        assert '"staged_by": "ann"' in shown(browser)
        assert task_names(site.database) == ["live"]

    # The session is signed and not in the database: it outlives the restore, its user does not.
    with site.serving("--bind", server.url.removeprefix("http://")) as server:
        server.http.headers["Connection"] = "close"
        assert server.task_names() == ["restored"]
        browser.get(f"{server.url}/api/v1/restore")
        assert "API key required" in shown(browser)
    (kept,) = site.kept()
    assert task_names(kept) == ["live"]


def test_staff_see_why_a_file_is_refused_and_can_choose_another(
    browser: Chrome, site_with_staff: Site, good: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.txt"
    bad.write_text("just a text\n")
    before = site_with_staff.names()
    with site_with_staff.serving() as server:
        log_in(browser, server)
        upload(browser, bad)
        assert "400 Bad Request" in shown(browser)
        assert "The file is not a SQLite database" in shown(browser)
        assert "Nothing was staged." in shown(browser)
        assert site_with_staff.names() == before
        upload(browser, good)
        assert "restart required" in shown(browser)


def test_staff_discard_a_pending_restore_with_the_button(
    browser: Chrome, site_with_staff: Site, good: Path
) -> None:
    before = site_with_staff.names()
    with site_with_staff.serving() as server:
        log_in(browser, server)
        upload(browser, good)
        assert site_with_staff.names() > before
        find(browser, "button.js-tooltip[data-target='#deleteModal']").click()
        confirm = find(browser, "#deleteModal form button")
        WebDriverWait(browser, SECONDS).until(lambda _: confirm.is_displayed())
        press(browser, "#deleteModal form button")
        assert "the pending restore was discarded" in shown(browser)
        assert site_with_staff.names() - before == {"tasks.db.restore-receipts.jsonl"}


def test_staff_apply_at_once_and_undo_with_the_button(
    browser: Chrome, site_with_staff: Site, good: Path
) -> None:
    with site_with_staff.serving() as server:
        server.http.headers["Connection"] = "close"
        log_in(browser, server)
        browser.get(f"{server.url}/api/v1/restore?apply=now")
        upload(browser, good)
        assert "the snapshot is live" in shown(browser)
        assert server.task_names() == ["restored"]
        # The snapshot knows no user, so a key undoes it.
        assert server.api("POST", "restore/undo?apply=now").json()["status"] == "applied"
        assert server.task_names() == ["live"]

        browser.delete_all_cookies()
        log_in(browser, server)
        browser.get(f"{server.url}/api/v1/restore/undo?apply=now")
        assert "Method Not Allowed" in shown(browser)
        press(browser, "#post-object-form button")
        assert "the snapshot is live" in shown(browser)
        assert server.task_names() == ["restored"]


def test_description_is_shown_and_can_be_tried(browser: Chrome, site: Site) -> None:
    """Under the policy that lets no inline script run."""
    with site.serving() as server:
        errors(browser)
        browser.get(f"{server.url}/api/v1/docs")
        find(browser, ".opblock")
        assert errors(browser) == []


def test_policy_lets_no_script_of_a_page_run(browser: Chrome, site: Site) -> None:
    with site.serving() as server:
        browser.get(f"{server.url}/api-auth/login/")
        errors(browser)  # there is no favicon
        browser.execute_script(
            "const script = document.createElement('script');"
            "script.textContent = 'document.isTaken = true';"
            "document.body.append(script);"
        )
        assert not browser.execute_script("return Boolean(document.isTaken)")
        assert [each for each in errors(browser) if "Content Security Policy" in each]


def test_staff_log_out_from_the_page(browser: Chrome, site_with_staff: Site) -> None:
    with site_with_staff.serving() as server:
        log_in(browser, server)
        find(browser, ".dropdown-toggle[href]").click()
        out = browser.find_element(By.LINK_TEXT, "Log out")
        WebDriverWait(browser, SECONDS).until(lambda _: out.is_displayed())
        out.click()
        find(browser, "a[href*='/api-auth/login/'], input[name=username]")
        assert not [each for each in errors(browser) if "Content Security Policy" in each]


def test_page_is_styled_and_reports_no_error(browser: Chrome, site_with_staff: Site) -> None:
    with site_with_staff.serving() as server:
        log_in(browser, server)
        errors(browser)  # forget the 401 that showed the way to log in
        browser.refresh()
        loaded = browser.execute_script(
            "return [...document.styleSheets].map(sheet => [sheet.href, sheet.cssRules.length])"
        )
        assert len(loaded) >= 3
        assert all(rules > 0 for _, rules in loaded), loaded
        bar = find(browser, ".navbar")
        assert re.match(r"rgba?\((?!0, 0, 0, 0)", bar.value_of_css_property("background-color"))
        assert errors(browser) == []
