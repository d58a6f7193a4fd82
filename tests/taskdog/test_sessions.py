"""Logins are files beside the database: no snapshot has them, and a logout ends them."""

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.file import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from backups import services
from backups.store import Receipt
from taskdog import data_folder, sessions
from tests.backups.api.test_caller import NEW, logged_in, set_user
from tests.backups.uploads import add_tasks, snapshot_of
from tests.processes import run_manage, run_python
from tests.site import Site

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of logins, which the site of this process uses."""
    folder = data_folder.sessions(tmp_path / "sessions")
    settings.SESSION_FILE_PATH = folder
    monkeypatch.setattr(SessionStore, "_storage_path", folder, raising=False)  # it is remembered
    return folder


def login(folder: Path, name: str, at: float) -> Path:
    path = folder / f"sessionid{name}"
    path.write_text("a login")
    os.utime(path, (at, at))
    return path


def applied(monkeypatch: pytest.MonkeyPatch, *outcomes: tuple[str, float]) -> None:
    """Let these be the receipts, the newest first."""
    receipts = [
        Receipt("1", datetime.fromtimestamp(at, UTC), outcome, "", 1, "", AT, "ann", (), None, 2.0)
        for outcome, at in outcomes
    ]
    monkeypatch.setattr(services, "list_receipts", lambda: receipts)


def test_folder_of_logins_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = data_folder.sessions(tmp_path / "sessions")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert data_folder.sessions(folder).stat().st_mode & 0o777 == 0o700


def test_file_in_place_of_the_folder_of_logins_is_named(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("kept")
    with pytest.raises(ImproperlyConfigured, match=r"sessions can't be used: Not a directory"):
        data_folder.sessions(tmp_path / "sessions")
    assert (tmp_path / "sessions").read_text() == "kept"


def test_folder_of_logins_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ImproperlyConfigured, match=r"sessions can't be written by this user"):
        data_folder.sessions(tmp_path / "sessions")


def test_restore_ends_the_logins_before_it_and_no_later_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(monkeypatch, ("staged", 5_000.0), ("applied", 1_000.0), ("applied", 100.0))
    before, meanwhile, after = (
        login(folder, str(index), at) for index, at in enumerate((999.0, 1_001.0, 1_003.0))
    )
    sessions.end_at_restore()
    assert not before.exists()
    assert not meanwhile.exists(), "it took two seconds"
    assert after.exists()


@pytest.mark.parametrize("outcomes", [[], [("staged", 1.0)], [("refused", 2.0), ("staged", 1.0)]])
def test_login_goes_on_where_nothing_was_applied(
    outcomes: list[tuple[str, float]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(monkeypatch, *outcomes)
    there = login(folder, "a", 0.5)
    sessions.end_at_restore()
    assert there.exists()


def test_start_removes_expired_logins_and_what_a_crash_left(folder: Path) -> None:
    now = time.time()
    valid = login(folder, "valid", now - settings.SESSION_COOKIE_AGE + 60)
    for name in ("expired", "expired_out_x1"):
        login(folder, name, now - settings.SESSION_COOKIE_AGE - 1)
    sessions.sweep()
    assert list(folder.iterdir()) == [valid]


def test_start_goes_on_where_logins_cannot_be_removed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.rmdir()
    sessions.sweep()
    assert "expired logins were not removed" in caplog.text


@pytest.mark.proof
def test_logins_that_an_earlier_release_had_in_the_database_go_to_the_last_byte(
    site: Site,
) -> None:
    key = "0123456789abcdefghijklmnopqrstuv"
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("INSERT INTO django_session VALUES (?, 'x', '2030-01-01')", (key,))
    assert key.encode() in site.database.read_bytes()
    _, err, code = run_python("-c", "import taskdog.wsgi", data_dir=site.data)
    assert code == 0, err
    with closing(sqlite3.connect(site.database)) as connection:
        assert connection.execute("SELECT * FROM django_session").fetchall() == []
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert key.encode() not in site.database.read_bytes()


def test_check_has_nothing_to_say_of_logins(tmp_path: Path) -> None:
    out, err, _ = run_manage("check", data_dir=tmp_path)
    assert "W055" not in out + err


@pytest.mark.proof
@pytest.mark.parametrize("compact", ["0", "1"])
def test_stolen_snapshot_has_no_login_and_a_restore_ends_them_all(
    compact: str, site: Site, tmp_path: Path
) -> None:
    set_user(site.database, NEW)
    good = snapshot_of(site, tmp_path / "good.db", "restored")
    set_user(good, NEW)
    add_tasks(site.database, "live")
    with site.serving(TASKDOG_WORKERS="2") as server, logged_in(server) as browser:
        cookie = {"Cookie": f"sessionid={browser.cookies['sessionid']}", "Connection": "close"}
        page = f"{server.url}/api/v1/restore"
        for _ in range(4):  # whichever worker
            assert requests.get(page, headers=cookie, timeout=60).status_code == 200
        stolen = server.api("GET", f"backup?compact={compact}").content
        assert browser.cookies["sessionid"].encode() not in stolen
        assert server.api("POST", "restore?apply=now", files={"file": good.read_bytes()}).ok
        for _ in range(4):
            assert requests.get(page, headers=cookie, timeout=60).status_code == 401
    assert list((site.data / "sessions").iterdir()) == []


@pytest.mark.django_db
def test_only_a_login_makes_a_file_and_a_logout_removes_it(folder: Path, client: Client) -> None:
    User.objects.create_user("ann", password=NEW)
    page = "/api-auth/login/"
    client.cookies["sessionid"] = "0123456789abcdefghijklmnopqrstuv"
    assert client.get(page).status_code == 200
    assert client.post(page, {"username": "ann", "password": "wrong"}).status_code == 200
    assert list(folder.iterdir()) == []
    assert client.post(page, {"username": "ann", "password": NEW}).status_code == 302
    (login,) = folder.iterdir()
    assert login.name == f"sessionid{client.cookies['sessionid'].value}"
    assert login.stat().st_mode & 0o777 == 0o600
    client.post("/api-auth/logout/")
    assert list(folder.iterdir()) == []
