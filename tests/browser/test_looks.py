"""Every page and state: readable by everybody, in both palettes, on a phone, under its policy."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.backups.uploads import add_ballast
from tests.browser.chromium import (
    button,
    errors,
    find,
    is_too_wide,
    photograph,
    press,
    read,
    show,
    slow_line,
    violations,
    wait_for,
)
from tests.browser.steps import (
    CAN_BE_PUT_BACK,
    back_up,
    choose,
    decide,
    enter,
    go,
    read_after_login,
    upload,
)
from tests.site import Server, Site

pytestmark = pytest.mark.browser


def check(browser: Chrome, name: str) -> None:
    """The page that is open now, as everybody may see it."""
    for dark in (False, True):
        for phone in (False, True):
            show(browser, dark=dark, phone=phone)
            photograph(browser, name)
            assert violations(browser) == [], (name, dark, phone)
            assert not is_too_wide(browser), (name, dark, phone)
    show(browser)


def test_everybody_can_read_each_page(
    browser: Chrome, served: Server, earlier: Path, tmp_path: Path
) -> None:
    enter(browser, served)
    check(browser, "overview-empty")
    go(browser, served, "snapshots/")
    check(browser, "snapshots-empty")
    snapshot = back_up(browser, served)
    check(browser, "stored")
    press(browser, button(browser, "Verify"))
    read(browser, "It can be restored.")
    check(browser, "verified")
    for page in ("", "snapshots/", f"snapshots/{snapshot}/", f"snapshots/{snapshot}/delete/"):
        go(browser, served, page)
        check(browser, page.replace("/", "-") or "overview")
    go(browser, served, "restore/")
    check(browser, "restore")
    (tmp_path / "notes.txt").write_text("only words\n")
    upload(browser, tmp_path / "notes.txt")
    read(browser, "The file is not a SQLite database")
    check(browser, "refused")
    go(browser, served, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    check(browser, "verdict")
    decide(browser, "start")
    read(browser, "It waits for a restart.")
    check(browser, "pending")
    go(browser, served, "restore/")
    check(browser, "restore-pending")
    go(browser, served, "history/")
    check(browser, "history")
    go(browser, served, "snapshots/20200101-000000/")
    check(browser, "not-there")
    assert [each for each in errors(browser) if "404" not in each] == []


def test_everybody_can_read_what_comes_of_a_restore(
    browser: Chrome, served: Server, earlier: Path
) -> None:
    enter(browser, served, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "now", name="something")
    check(browser, "wrong-name")
    assert len(browser.find_elements(By.CSS_SELECTOR, "[role=alert]")) == 1, "it is said once"
    decide(browser, "now")
    read(browser, "A restore has replaced the database")
    check(browser, "ended")
    read_after_login(browser, served, "Live since")
    check(browser, "live")
    go(browser, served, "restore/")
    check(browser, "restore-applied")
    press(browser, button(browser, "Undo the last restore …"))
    read(browser, "What was live before the last restore can be put back.")
    check(browser, "undo")
    press(browser, button(browser, "Cancel"))
    read(browser, "Cancelled. Nothing has changed.")
    check(browser, "cancelled")


def test_everybody_can_read_how_an_upload_goes(
    browser: Chrome, served: Server, earlier: Path
) -> None:
    add_ballast(earlier, megabytes=6)
    enter(browser, served, "restore/")
    choose(browser, earlier)
    with slow_line(browser, 100_000):  # so slow that it is still under way at the end
        find(browser, "#upload-begin").click()
        wait_for(browser, lambda: find(browser, "#upload-cancel").is_displayed())
        check(browser, "uploading")
        find(browser, "#upload-cancel").click()
        read(browser, "The upload was cancelled.")
    check(browser, "upload-cancelled")


def test_everybody_can_read_that_the_storage_is_gone(
    browser: Chrome, served: Server, site_with_staff: Site
) -> None:
    enter(browser, served)
    back_up(browser, served)
    (folder,) = site_with_staff.data.glob("*backups")
    folder.rename(site_with_staff.data / "away")
    folder.write_text("no folder\n")
    go(browser, served, "snapshots/")
    read(browser, "What is remembered")
    check(browser, "storage-gone")
    press(browser, button(browser, "Back up now"))
    read(browser, "It has failed:")
    check(browser, "failed")
    go(browser, served)
    check(browser, "overview-failed")
