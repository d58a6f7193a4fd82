"""The browsable API as Chromium shows it, on a real server."""

import re
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chromium import PASSWORD, SECONDS, errors, find, press
from tests.site import Server, Site, task_names

pytestmark = pytest.mark.browser


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
