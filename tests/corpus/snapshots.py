"""Good snapshots to spoil: what a real site answered, and the same rows in files of other forms."""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import requests

from tests.site import Server, Site
from tests.standard_sqlite import dump

PASSWORD = "correct horse"
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def fill(site: Site, server: Server) -> None:
    """Give the site one of everything: tasks with all that hangs on them, a user, a session."""
    finished = site.manage(
        *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert finished.code == 0, finished.err
    for number in range(40):
        server.add_task(f"task {number} {'word ' * (number % 20)}")
    log_in(server)
    with closing(sqlite3.connect(site.database)) as connection:
        _hang_on_tasks(connection)


def log_in(server: Server) -> requests.Session:
    """A browser in which ann is logged in: a row of ``django_session``."""
    browser = requests.Session()
    url = f"{server.url}/api-auth/login/"
    token = CSRF.search(browser.get(url, timeout=60).text)
    assert token is not None
    answer = browser.post(
        url,
        data={"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": token[1]},
        headers={"Referer": url},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.status_code == 302, answer.text
    return browser


def in_many_forms(snapshot: bytes) -> dict[str, bytes]:
    """The same rows with small and large pages, in UTF-16, with vacuums, in WAL mode."""
    return {
        "pages of 4096": snapshot,
        "pages of 512": _rebuilt(snapshot, "PRAGMA page_size=512"),
        "pages of 65536": _rebuilt(snapshot, "PRAGMA page_size=65536"),
        "pages of 1024 in UTF-16": _rebuilt(
            snapshot, "PRAGMA page_size=1024; PRAGMA encoding='UTF-16be'"
        ),
        "auto-vacuum": _rebuilt(snapshot, "PRAGMA auto_vacuum=FULL"),
        "write-ahead": _rebuilt(snapshot, "PRAGMA journal_mode=WAL"),
    }


def _rebuilt(snapshot: bytes, pragmas: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder, "old.db"), Path(folder, "new.db")
        old.write_bytes(snapshot)
        with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(new)) as target:
            target.executescript(f"PRAGMA synchronous=OFF; {pragmas}")
            target.executescript("".join(dump(source)))
            target.commit()
        return new.read_bytes()


def _hang_on_tasks(connection: sqlite3.Connection) -> None:
    at = "2026-11-23 10:00:00"
    connection.executescript(
        f"""
        INSERT INTO tags (name, created_at) VALUES ('red', '{at}'), ('blue', '{at}');
        INSERT INTO task_tags (task_id, tag_id) SELECT id, 1 + id % 2 FROM tasks;
        INSERT INTO task_dependencies (task_id, depends_on_id) VALUES (2, 1), (3, 2);
        INSERT INTO notes (task_id, content, created_at, updated_at)
            SELECT id, replace(hex(zeroblob(id * 50)), '0', 'n'), '{at}', '{at}' FROM tasks;
        INSERT INTO daily_allocations (task_id, date, hours, created_at)
            SELECT id, '2026-11-23', 1.5, '{at}' FROM tasks;
        UPDATE tasks SET priority = id, planned_start = '{at}' WHERE id % 3 = 0;
        """
    )
    connection.commit()
