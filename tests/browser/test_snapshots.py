"""Stored snapshots on the pages: take, download, verify, hold, delete."""

import shutil
import sys
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from tests.backups.waiting import until
from tests.browser.chromium import button, errors, find, press, read, text
from tests.browser.steps import back_up, enter, go, row_of, tab_to, type_key
from tests.site import Server, Site, task_names
from tests.writers import Writers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.browser


def test_snapshot_is_taken_while_others_write_and_is_verified(
    browser: Chrome, served: Server, site_with_staff: Site
) -> None:
    enter(browser, served)
    with Writers(site_with_staff) as writers:
        writers.write_to(served)
        until(lambda: len(writers.acknowledged) > 20)
        snapshot = back_up(browser, served)
    press(browser, button(browser, "Verify"))
    read(browser, "It can be restored.")
    go(browser, served, "snapshots/")
    row = row_of(browser, snapshot)
    assert "ann" in row
    assert "Verified" in row
    go(browser, served)
    assert "Last verified backup" in text(browser)
    assert not writers.refused
    assert errors(browser) == []


def test_download_is_a_whole_database(browser: Chrome, served: Server, downloads: Path) -> None:
    enter(browser, served, "snapshots/")
    button(browser, "Download a snapshot").click()
    (file,) = until(lambda: list(downloads.glob("taskdog-backup-*.db")))
    assert task_names(file) == ["live"]
    snapshot = back_up(browser, served)
    button(browser, "Download").click()
    (packed,) = until(lambda: list(downloads.glob("*.db.zst")))
    assert packed.name == f"taskdog-backup-{snapshot}.db.zst"
    (unpacked := packed.with_suffix("")).write_bytes(zstd.decompress(packed.read_bytes()))
    assert task_names(unpacked) == ["live"]


def test_nothing_new_is_stored_without_a_change_but_with_a_label(
    browser: Chrome, served: Server
) -> None:
    enter(browser, served)
    back_up(browser, served)
    go(browser, served, "snapshots/")
    press(browser, button(browser, "Back up now"))
    read(browser, "Nothing has changed since")
    go(browser, served, "snapshots/")
    find(browser, "#label").send_keys("before the party")
    press(browser, button(browser, "Back up now"))
    snapshot = read(browser, "Stored: ").partition("Stored: ")[2].partition(".")[0]
    go(browser, served, "snapshots/")
    assert "before the party" in row_of(browser, snapshot)


def test_snapshot_is_held_released_and_deleted(browser: Chrome, served: Server) -> None:
    enter(browser, served)
    first = back_up(browser, served)
    served.add_task("another")
    back_up(browser, served)
    go(browser, served, f"snapshots/{first}/")
    find(browser, "#reason").send_keys("for the auditors")
    press(browser, button(browser, "Hold it"))
    assert "for the auditors" in text(browser)
    press(browser, button(browser, "Release it"))
    press(browser, button(browser, "Delete …"))
    press(browser, "form button.danger")
    assert f"{first} is deleted." in text(browser)
    assert served.api("GET", f"backups/{first}").status_code == 404
    assert errors(browser) == []


def test_storage_that_is_gone_is_reported(
    browser: Chrome, served: Server, site_with_staff: Site
) -> None:
    enter(browser, served)
    back_up(browser, served)
    (folder,) = site_with_staff.data.glob("*backups")
    shutil.move(folder, site_with_staff.data / "away")
    folder.write_text("no folder\n")
    try:
        go(browser, served, "snapshots/")
        read(browser, "What is remembered")
        find(browser, ".note.bad[role=alert]")
        press(browser, button(browser, "Back up now"))
        read(browser, "It has failed:")
        go(browser, served)
        assert "the last backup failed" in text(browser)
    finally:
        folder.unlink()


def test_keyboard_alone_takes_a_backup(browser: Chrome, served: Server) -> None:
    enter(browser, served, "snapshots/")
    tab_to(browser, "form[action$='/store/'] button")
    type_key(browser, Keys.ENTER)
    read(browser, "Stored: ")


def test_without_scripts_a_backup_is_taken(without_scripts: Chrome, served: Server) -> None:
    enter(without_scripts, served)
    snapshot = back_up(without_scripts, served)
    press(without_scripts, button(without_scripts, "Verify"))
    read(without_scripts, "It can be restored.")
    go(without_scripts, served, "snapshots/")
    assert "Verified" in row_of(without_scripts, snapshot)
