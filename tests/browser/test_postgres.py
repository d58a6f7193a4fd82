"""A site on PostgreSQL: the pages put back a dump, and a snapshot of the SQLite that it was on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import PASSWORD, button, errors, press, read, text
from tests.browser.steps import (
    CAN_BE_PUT_BACK,
    back_up,
    decide,
    enter,
    go,
    read_after_login,
    row_of,
    upload,
)
from tests.postgres.server import Server as Postgres
from tests.postgres.sites import make_site
from tests.site import Server, Site

pytestmark = pytest.mark.browser


@pytest.fixture
def machine(postgres: Postgres, tmp_path: Path) -> Site:
    """A web machine with ann, a superuser."""
    made = make_site(postgres, tmp_path / "machine")
    finished = made.manage(
        *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert finished.code == 0, finished.err
    return made


@pytest.fixture
def on_postgres(machine: Site) -> Iterator[Server]:
    """That machine, with two workers and one task."""
    with machine.serving(TASKDOG_WORKERS="2") as server:
        server.http.headers["Connection"] = "close"
        server.add_task("kept")
        yield server


@pytest.fixture
def dump(on_postgres: Server, tmp_path: Path) -> Path:
    """A snapshot of it, before a task more."""
    taken = tmp_path / "taken.dump"
    taken.write_bytes(on_postgres.api("GET", "backup").content)
    on_postgres.add_task("later")
    return taken


def test_dump_is_put_back_now_and_undone(browser: Chrome, on_postgres: Server, dump: Path) -> None:
    enter(browser, on_postgres, "restore/")
    upload(browser, dump)
    assert re.search(r"tasks\s2 1 .1", read(browser, CAN_BE_PUT_BACK))
    decide(browser, "now")
    read_after_login(browser, on_postgres, "Live since")
    assert on_postgres.task_names() == ["kept"]
    press(browser, button(browser, "Undo this restore"))
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "now")
    read_after_login(browser, on_postgres, "Live since")
    assert on_postgres.task_names() == ["kept", "later"]
    go(browser, on_postgres, "history/")
    assert "Restored" in text(browser)
    assert errors(browser) == []


def test_dump_is_put_back_at_the_next_start(
    browser: Chrome, on_postgres: Server, machine: Site, dump: Path
) -> None:
    enter(browser, on_postgres, "restore/")
    upload(browser, dump)
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "start")
    read(browser, "It waits for a restart.")
    page = browser.current_url.partition("/backups/")[2]
    on_postgres.stop()
    with machine.serving("--bind", on_postgres.url.removeprefix("http://")) as again:
        again.http.headers["Connection"] = "close"
        assert again.task_names() == ["kept"]
        read(browser, "A restore has replaced the database")  # the page that was open asks again
        enter(browser, again, page)
        read(browser, "Live since")


def test_sqlite_snapshot_is_put_back_and_undone(
    browser: Chrome, on_postgres: Server, earlier: Path
) -> None:
    enter(browser, on_postgres, "restore/")
    upload(browser, earlier)
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "now")
    read_after_login(browser, on_postgres, "Live since")
    assert on_postgres.task_names() == ["live", "more"]
    press(browser, button(browser, "Undo this restore"))
    read(browser, CAN_BE_PUT_BACK)
    decide(browser, "now")
    read_after_login(browser, on_postgres, "Live since")
    assert on_postgres.task_names() == ["kept"]
    assert errors(browser) == []


def test_snapshot_is_stored_and_verified(browser: Chrome, on_postgres: Server) -> None:
    enter(browser, on_postgres)
    snapshot = back_up(browser, on_postgres)
    press(browser, button(browser, "Verify"))
    read(browser, "It can be restored.")
    go(browser, on_postgres, "snapshots/")
    assert "Verified" in row_of(browser, snapshot)
    assert errors(browser) == []
