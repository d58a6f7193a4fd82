"""Put a snapshot back with the pages: by upload, now or at the next start, and undo it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of

from tests.backups.uploads import add_ballast
from tests.backups.waiting import until
from tests.browser.chromium import (
    button,
    errors,
    find,
    press,
    read,
    slow_line,
    started,
    text,
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
    tab_to,
    type_key,
    upload,
)
from tests.site import Server, Site

pytestmark = pytest.mark.browser

SLOW = 1_000_000  # bytes a second


@pytest.fixture
def large(earlier: Path) -> Path:
    """An upload that takes some seconds on a slow line."""
    add_ballast(earlier, megabytes=6)
    return earlier


def incoming(site: Site) -> list[str]:
    """What is left of uploads in the folder of the database."""
    return [name for name in site.names() if "incoming" in name]


@contextmanager
def slow_upload(browser: Chrome, server: Server, file: Path) -> Iterator[None]:
    """An upload that has begun. For the block, the line is slow."""
    enter(browser, server, "restore/")
    choose(browser, file)
    with slow_line(browser, SLOW):
        find(browser, "#upload-begin").click()
        yield


def share(browser: Chrome) -> float:
    """How much of the upload is sent, by the bar."""
    return float(find(browser, "#upload-bar").get_attribute("value") or 0)


def test_upload_is_put_back_now_and_undone(
    browser: Chrome, served: Server, site_with_staff: Site, earlier: Path
) -> None:
    enter(browser, served, "restore/")
    upload(browser, earlier)
    words = read(browser, CAN_BE_PUT_BACK)
    assert "tasks\n1 2 +1" in words.replace("tasks 1 2 +1", "tasks\n1 2 +1")
    decide(browser, "now")
    read_after_login(browser, served, "Live since")
    assert served.task_names() == ["live", "more"]
    press(browser, button(browser, "Undo this restore"))
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "now")
    read_after_login(browser, served, "Live since")
    assert served.task_names() == ["live"]
    go(browser, served, "history/")
    assert "Restored" in text(browser)
    assert incoming(site_with_staff) == []
    assert errors(browser) == []


def test_stored_snapshot_is_put_back_at_the_next_start(
    browser: Chrome, served: Server, site_with_staff: Site
) -> None:
    enter(browser, served)
    snapshot = back_up(browser, served)
    served.add_task("later")
    go(browser, served, f"snapshots/{snapshot}/")
    press(browser, button(browser, "Restore …"))
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "start")
    read(browser, "It waits for a restart.")
    page = browser.current_url
    said = "document.getElementById('said').textContent.includes('It waits')"
    wait_for(browser, lambda: browser.execute_script(f"return {said}"))
    served.stop()
    with site_with_staff.serving("--bind", served.url.removeprefix("http://")) as again:
        again.http.headers["Connection"] = "close"
        assert again.task_names() == ["live"]
        read(browser, "A restore has replaced the database")  # the page that was open asks again
        enter(browser, again, page.partition("/backups/")[2])
        read(browser, "Live since")


def test_bad_file_is_refused_with_its_reason(
    browser: Chrome, served: Server, site_with_staff: Site, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("only words\n")
    enter(browser, served, "restore/")
    upload(browser, tmp_path / "notes.txt")
    assert "Nothing has changed." in read(browser, "The file is not a SQLite database")
    go(browser, served, "history/")
    assert "The file is not a SQLite database" in text(browser)
    assert incoming(site_with_staff) == []


def test_file_that_is_too_large_is_not_even_sent(
    browser: Chrome, site_with_staff: Site, earlier: Path
) -> None:
    site_with_staff.variables["DJANGO_SETTINGS_MODULE"] = "tests.small_uploads_settings"
    with site_with_staff.serving() as server:
        enter(browser, server, "restore/")
        choose(browser, earlier)
        find(browser, "#upload-begin").click()
        read(browser, "This file is larger than the site accepts. Nothing was sent.")
        assert "restore/upload" not in "".join(server.log)


def test_file_that_is_too_large_is_refused_without_scripts(
    without_scripts: Chrome, site_with_staff: Site, earlier: Path
) -> None:
    site_with_staff.variables["DJANGO_SETTINGS_MODULE"] = "tests.small_uploads_settings"
    with site_with_staff.serving() as server:
        enter(without_scripts, server, "restore/")
        upload(without_scripts, earlier)
        assert "Nothing has changed." in read(without_scripts, "larger than the limit of")
        assert incoming(site_with_staff) == []


def test_upload_on_a_slow_line_shows_how_it_goes(
    browser: Chrome, served: Server, large: Path
) -> None:
    with slow_upload(browser, served, large):
        seen = [0.0]
        while len(seen) < 4:
            seen.append(wait_for(browser, lambda: now if (now := share(browser)) > seen[-1] else 0))
        assert seen == sorted(set(seen))
        assert seen[1] < 0.9
        assert "MB" in find(browser, "#upload-sent").get_attribute("textContent")  # type: ignore[operator]
    read(browser, CAN_BE_PUT_BACK)


def test_upload_is_cancelled_half_way_and_tried_again(
    browser: Chrome, served: Server, site_with_staff: Site, large: Path
) -> None:
    with slow_upload(browser, served, large):
        wait_for(browser, lambda: share(browser) > 0.2)
        find(browser, "#upload-cancel").click()
        read(browser, "The upload was cancelled. Nothing has changed.")
    until(lambda: incoming(site_with_staff) == [])
    press(browser, "#upload-begin")
    read(browser, CAN_BE_PUT_BACK)


def test_worker_that_is_killed_in_mid_upload_is_told(
    browser: Chrome, served: Server, site_with_staff: Site, large: Path
) -> None:
    with slow_upload(browser, served, large):
        wait_for(browser, lambda: share(browser) > 0.2)
        for pid in served.worker_pids():
            os.kill(pid, signal.SIGKILL)
        # Chromium may send it again by itself, which then succeeds; else the page says what broke.
        ends = (CAN_BE_PUT_BACK, "The upload ended before it was whole.")
        wait_for(browser, lambda: any(each in text(browser) for each in ends))
    assert len(incoming(site_with_staff)) == (CAN_BE_PUT_BACK in text(browser))
    go(browser, served, "restore/")
    upload(browser, large)
    read(browser, CAN_BE_PUT_BACK)
    until(lambda: len(incoming(site_with_staff)) == 1)


def test_two_people_at_one_snapshot(browser: Chrome, served: Server, earlier: Path) -> None:
    enter(browser, served, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    page = browser.current_url.partition("/backups/")[2]
    with started() as other:
        enter(other, served, page, name="bob")
        read(other, CAN_BE_PUT_BACK)
        decide(other, "start")
        read(other, "It waits for a restart.")
        assert errors(other) == []
    decide(browser, "now")
    assert "This restore has ended." in text(browser)
    assert "It waits for a restart." in text(browser)


def test_what_is_pending_is_discarded(browser: Chrome, served: Server, earlier: Path) -> None:
    enter(browser, served, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "start")
    read(browser, "It waits for a restart.")
    go(browser, served, "restore/")
    press(browser, button(browser, "Discard it"))
    assert "A restore waits for a restart" not in text(browser)
    assert served.api("GET", "restore").json()["status"] == "nothing"


def test_focus_stays_where_it_is_while_the_page_asks_again(
    browser: Chrome, served: Server, earlier: Path
) -> None:
    enter(browser, served, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "start")
    read(browser, "It waits for a restart.")
    for _ in range(2):
        tab_to(browser, "form[action$='/discard/'] button")
        wait_for(browser, partial(staleness_of(find(browser, "#prepared")), browser))
        assert browser.switch_to.active_element.text == "Discard it"
    type_key(browser, Keys.ENTER)
    read(browser, "Discarded by ann")


def test_keyboard_alone_puts_a_snapshot_back(browser: Chrome, served: Server) -> None:
    enter(browser, served)
    snapshot = back_up(browser, served)
    served.add_task("later")
    go(browser, served, f"snapshots/{snapshot}/")
    tab_to(browser, "form[action$='/restore/'] button")
    type_key(browser, Keys.ENTER)
    read(browser, CAN_BE_PUT_BACK)
    tab_to(browser, "input[name=when]")
    type_key(browser, Keys.SPACE)
    tab_to(browser, "#name")
    type_key(browser, "taskdog")
    tab_to(browser, "form button.main")
    type_key(browser, Keys.ENTER)
    read_after_login(browser, served, "Live since")
    assert served.task_names() == ["live"]


def test_without_scripts_a_snapshot_is_put_back_now(
    without_scripts: Chrome, served: Server, earlier: Path
) -> None:
    enter(without_scripts, served, "restore/")
    upload(without_scripts, earlier)
    read(without_scripts, CAN_BE_PUT_BACK)
    decide(without_scripts, "now")
    read_after_login(without_scripts, served, "Live since")
    assert served.task_names() == ["live", "more"]


def test_without_scripts_a_snapshot_waits_for_the_next_start(
    without_scripts: Chrome, served: Server, earlier: Path
) -> None:
    enter(without_scripts, served, "restore/")
    upload(without_scripts, earlier)
    read(without_scripts, CAN_BE_PUT_BACK)
    decide(without_scripts, "start")
    read(without_scripts, "It waits for a restart.")
    assert served.api("GET", "restore").json()["staged_by"] == "ann"


def test_who_may_back_up_but_not_restore_sees_no_restore(
    browser: Chrome, site_with_staff: Site
) -> None:
    site_with_staff.variables["DJANGO_SETTINGS_MODULE"] = "tests.backup_only_settings"
    with site_with_staff.serving() as server:
        enter(browser, server, name="bob")
        snapshot = back_up(browser, server)
        go(browser, server, "snapshots/")
        for words in ("Restore", "Delete"):
            assert words not in find(browser, "body").text
        for action in (f"snapshots/{snapshot}/restore/", f"snapshots/{snapshot}/delete/"):
            assert send_by_hand(browser, action) == 403
        assert send_by_hand(browser, "restore/undo/") == 403
        go(browser, server, "restore/")
        assert "Not done" in text(browser)


def send_by_hand(browser: Chrome, action: str) -> int:
    """Send a form that the page does not show, with the token of one that it does; the status."""
    answer: int = browser.execute_async_script(
        "const [path, done] = arguments;"
        "const body = new FormData(document.querySelector('form'));"
        "fetch(path, {method: 'POST', body}).then((answer) => done(answer.status));",
        f"/backups/{action}",
    )
    return answer
