"""Every page and state: readable by everybody, in both palettes, on a phone, under its policy."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import (
    button,
    errors,
    is_too_wide,
    photograph,
    press,
    read,
    show,
    violations,
)
from tests.browser.steps import CAN_BE_PUT_BACK, back_up, decide, enter, go, upload
from tests.site import Server

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
