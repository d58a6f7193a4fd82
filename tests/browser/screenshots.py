"""
Take the pictures of the pages that are in the docs: ``make screenshots``.

A site of its own is filled with three weeks of tasks and scheduled backups, by a clock that is set
back, and is served; Chromium then shows what staff see.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
import time_machine
from selenium.webdriver import Chrome

from tests.backups.uploads import add_tasks
from tests.browser.chromium import PASSWORD, button, picture, press, read, show, started
from tests.browser.steps import CAN_BE_PUT_BACK, enter, go
from tests.processes import environment
from tests.site import Server, Site, make_site

DAYS = 21
SCHEDULE = "0 3 * * *"
SIZE = (1100, 1100)  # of the window, in pixels


def fill(data: Path) -> None:
    """Write and back up for three weeks, one night after the other. Runs in its own process."""
    django.setup()
    from backups.archive import services
    from backups.schedule import run

    chance = random.Random(7)
    last = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)
    if last > datetime.now(UTC):
        last -= timedelta(days=1)
    for day in range(DAYS, -1, -1):
        number = chance.randint(200, 900)
        names = [f"Task {chance.getrandbits(400):x}" for _ in range(number)]
        add_tasks(data / "tasks.db", *names)
        with time_machine.travel(last - timedelta(days=day, seconds=-2), tick=True):
            run.run_due()
    services.hold(services.list_snapshots()[1].id, by="ann", reason="before the move")


def take(browser: Chrome, server: Server, folder: Path) -> None:
    """The three pictures."""
    enter(browser, server)
    picture(browser, folder / "page-overview.png", until=".plots")
    show(browser, dark=True)
    go(browser, server, "snapshots/")
    picture(browser, folder / "page-snapshots.png", until="tbody tr:nth-child(3)")
    show(browser)
    press(browser, browser.find_elements("css selector", "tbody form[action*=restore] button")[2])
    read(browser, CAN_BE_PUT_BACK)
    picture(browser, folder / "page-verdict.png", until="[aria-labelledby=decide]")
    press(browser, button(browser, "Cancel"))


def main(folder: Path) -> None:
    """Make the pictures in this folder."""
    data = Path(tempfile.gettempdir(), "taskdog", "data")  # the pictures show its name
    shutil.rmtree(data, ignore_errors=True)
    data.parent.mkdir(exist_ok=True)
    try:
        site = make_site(data)
        site.manage(
            *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )
        schedule = {"TASKDOG_BACKUP_SCHEDULE": SCHEDULE, "TASKDOG_BACKUP_MAIL": "ops@example.org"}
        variables = environment(data, DJANGO_SETTINGS_MODULE="taskdog.settings", **schedule)
        command = [sys.executable, "-m", "tests.browser.screenshots", "--fill", str(data)]
        subprocess.run(command, check=True, env=os.environ | (variables or {}))
        with Site(data, site.key).serving(**schedule) as server, started() as browser:
            browser.set_window_size(*SIZE)
            show(browser)
            take(browser, server, folder)
    finally:
        shutil.rmtree(data)


if __name__ == "__main__":
    if sys.argv[1] == "--fill":
        fill(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
