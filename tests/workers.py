"""Gunicorn with three workers, with and without preloading, and who of it is present."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from backups.sqlite.locking import locks
from tests.backups.waiting import until
from tests.processes import CHECKOUT
from tests.site import Server, Site

WORKERS = 3
PATIENCE = 600  # seconds: longer than any test
PRELOAD = pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])


@contextmanager
def serving(site: Site, *options: str, preload: bool) -> Iterator[Server]:
    """Three workers, with the site's own configuration but for ``preload_app``, all at work."""
    options = (*configured(site, preload=preload), *options)
    patient = {"TASKDOG_WORKERS": str(WORKERS), "TASKDOG_STALL_SECONDS": str(PATIENCE)}
    with site.serving(*options, **patient) as server:
        wait_for_workers(site, server)
        yield server
        server.kill()  # faster than to stop it: a test that is about that has done so


@contextmanager
def upload_under_way(site: Site, server: Server) -> Iterator[int]:
    """
    A client that is slow: while the block runs, one worker has its request and can't end.

    Yields that worker's pid.
    """
    size = 1_000_000
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as client:
        client.putrequest("POST", "/api/v1/restore")
        client.putheader("X-Api-Key", site.key)
        client.putheader("Content-Type", "application/vnd.sqlite3")
        client.putheader("Content-Length", str(size))
        client.endheaders(bytes(size // 2))
        yield until(lambda: receiver(site))


def receiver(site: Site) -> int | None:
    """The process that has an incoming file open. Asks the system only."""
    for pid in present(site):
        with suppress(OSError):  # it has just ended, or has just closed one of them
            for opened in Path(f"/proc/{pid}/fd").iterdir():
                if "tasks.db.incoming-" in os.readlink(opened):
                    return pid
    return None


def configured(site: Site, *, preload: bool) -> tuple[str, str]:
    """
    Gunicorn has no option that turns preloading off, so: a file that changes the site's own.

    It kills no worker for being slow either, and drops no client: on a busy machine that would end
    a request which a test has under way.
    """
    site_config = CHECKOUT / "taskdog" / "gunicorn.conf.py"
    config = site.data.with_name(f"preload-{preload}.conf.py")
    config.write_text(
        f"__file__ = {str(site_config)!r}\n"
        f"exec(compile(open(__file__).read(), __file__, 'exec'))\n"
        f"preload_app = {preload}\n"
        f"graceful_timeout = timeout = {PATIENCE}\n"
    )
    return "--config", str(config)


def wait_for_workers(site: Site, server: Server, number: int = WORKERS) -> set[int]:
    """Wait until so many workers more have been started and are present; returns their pids."""
    started = {
        int(server.wait_for_log(r"Booting worker with pid: (\d+)")[1]) for _ in range(number)
    }
    until(lambda: present(site) >= started)
    return started


def present(site: Site) -> set[int]:
    """The pids of all processes that have the site's database open. Asks the system only."""
    descriptor = os.open(site.data / "tasks.db.lock", os.O_RDONLY)
    try:
        return locks.holders(descriptor)
    finally:
        os.close(descriptor)


def stage(server: Server, snapshot: Path) -> None:
    """Upload a snapshot, on a connection of its own; the server answers as it should."""
    answer = requests.post(
        f"{server.url}/api/v1/restore",
        data=snapshot.read_bytes(),
        headers=dict(server.http.headers) | {"Content-Type": "application/vnd.sqlite3"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "restart required"
