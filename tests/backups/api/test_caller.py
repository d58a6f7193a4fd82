"""A site that wraps each request in a transaction, and saves session and user after it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from django.contrib.auth.hashers import make_password

from tests.backups.api.test_views import Forms
from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Server, Site, task_names
from tests.workers import upload_under_way

pytestmark = pytest.mark.proof

NOW = "/api/v1/restore?apply=now"
OLD, NEW = "the password of the snapshot", "the password of today"


def set_user(database: Path, password: str) -> None:
    """Give the database the user ann, who is staff, with this password."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM auth_user")
        connection.execute(
            "INSERT INTO auth_user (id, username, password, is_superuser, is_staff, is_active,"
            " first_name, last_name, email, date_joined)"
            " VALUES (7, 'ann', ?, 1, 1, 1, '', '', '', '2026-01-01')",
            (make_password(password, hasher="pbkdf2_sha256"),),
        )


@pytest.fixture
def without_ann(site: Site, tmp_path: Path) -> Path:
    return snapshot_of(site, tmp_path / "without.db", "restored")


@pytest.fixture
def strict(site: Site, without_ann: Path) -> Iterator[Server]:
    """A server whose staff is ann."""
    add_tasks(site.database, "live")
    set_user(site.database, NEW)
    with site.serving(DJANGO_SETTINGS_MODULE="tests.strict_settings") as server:
        yield server


def logged_in(server: Server) -> requests.Session:
    """A browser in which ann has logged in."""
    browser = requests.Session()
    browser.headers.update({"Accept": "text/html", "Connection": "close"})
    page = browser.get(f"{server.url}/api-auth/login/?next=/api/v1/restore")
    _, fields = Forms(page.text).with_input("password")
    page = browser.post(page.url, data=fields | {"username": "ann", "password": NEW})
    assert page.status_code == 200, page.text
    return browser


def apply_now(server: Server, browser: requests.Session, snapshot: Path) -> requests.Response:
    """Upload a snapshot with the form's token, to be applied at once."""
    page = browser.get(f"{server.url}/api/v1/restore")
    _, fields = Forms(page.text).with_input("file")
    return browser.post(
        f"{server.url}{NOW}",
        data={"csrfmiddlewaretoken": fields["csrfmiddlewaretoken"]},
        files={"file": snapshot.read_bytes()},
        headers={"Accept": "application/json"},
    )


def accounts(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT username, password FROM auth_user").fetchall()


def test_applied_is_answered_though_the_session_and_the_user_are_gone(
    strict: Server, site: Site, without_ann: Path
) -> None:
    with logged_in(strict) as browser:
        answer = apply_now(strict, browser, without_ann)
        assert (answer.status_code, answer.json()["status"]) == (200, "applied")
        assert "sessionid" not in browser.cookies, "that session does not exist any more"
        assert browser.get(f"{strict.url}/api/v1/restore").status_code == 401
    assert task_names(site.database) == ["restored"]
    assert accounts(site.database) == [], "nobody came back from the old content"


def test_user_that_is_in_both_contents_is_not_saved_as_it_was(
    strict: Server, site: Site, without_ann: Path
) -> None:
    set_user(without_ann, OLD)
    with logged_in(strict) as browser:
        assert apply_now(strict, browser, without_ann).status_code == 200
    with closing(sqlite3.connect(without_ann)) as connection:
        restored = connection.execute("SELECT username, password FROM auth_user").fetchall()
    assert accounts(site.database) == restored


def test_others_write_while_an_upload_is_under_way(strict: Server, site: Site) -> None:
    with upload_under_way(site, strict):
        strict.add_task("meanwhile")
    assert task_names(site.database) == ["live", "meanwhile"]
