"""The HTTP entrance, on a real server; in-process only where a failure has to be injected."""

import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from backups import exceptions, services
from backups.disk import files
from backups.keys.api_keys import create_key
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking.turns import UploadTurn
from tests.backups import builders
from tests.backups.uploads import BAD, NOW, Bad, add_ballast, add_tasks, snapshot_of
from tests.backups.waiting import until
from tests.backups.wire import answer_to_head, start_request
from tests.site import Server, Site, copy_site, task_names

OCTETS = "application/octet-stream"
SQLITE = "application/vnd.sqlite3"
ACCEPTS = ["*/*", "application/json", "text/html", SQLITE, "image/png", "nonsense"]
LIMIT = 1_000_000  # bytes that the shared server takes
BALLAST = 40  # MB, far more than the sockets' buffers hold
PASSWORD = "correct horse"


ADDRESSES = (f"198.51.100.{number}" for number in count(1))


@pytest.fixture(scope="module")
def shared_site(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with one task, three keys and two people, served for the whole module."""
    site = copy_site(template_site, tmp_path_factory.mktemp("shared") / "data")
    add_tasks(site.database, "live")
    with closing(sqlite3.connect(site.database)) as connection:
        for name, is_staff in (("ann", True), ("bob", False)):
            connection.execute(
                "INSERT INTO auth_user (username, password, is_staff, is_superuser, is_active,"
                " date_joined, first_name, last_name, email) VALUES (?, ?, ?, 0, 1, ?, '', '', '')",
                (name, make_password(PASSWORD, hasher="pbkdf2_sha256"), is_staff, NOW),
            )
        connection.commit()
    return site


@pytest.fixture(scope="module")
def tasks_key(shared_site: Site) -> str:
    """A key that may use the tasks, and neither back up nor restore."""
    return create_key(shared_site.data / "api_keys.json", name="tasks only", scopes=["tasks"])


@pytest.fixture(scope="module")
def shared(shared_site: Site, tasks_key: str) -> Iterator[Server]:
    with shared_site.serving(
        TASKDOG_MAX_UPLOAD_BYTES=str(LIMIT), TASKDOG_NUM_PROXIES="1"
    ) as running:
        running.http.headers["Connection"] = "close"  # else a stop waits for the next request
        yield running


@pytest.fixture
def api(shared: Server, shared_site: Site) -> Iterator[Server]:
    """The shared server, with nothing pending before and after the test."""
    yield shared
    for path in shared_site.data.glob("tasks.db.pending-restore*"):
        path.unlink()


@pytest.fixture(scope="module")
def good(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(template_site, tmp_path_factory.mktemp("good") / "good.db", "restored")


@pytest.fixture(scope="module")
def large_site(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with a database that is still under way when the client goes away."""
    site = copy_site(template_site, tmp_path_factory.mktemp("large") / "data")
    add_tasks(site.database, "live")
    add_ballast(site.database, BALLAST)
    return site


@pytest.fixture
def large(large_site: Site, tmp_path: Path) -> Site:
    return copy_site(large_site, tmp_path / "data")


def head(server: Server, **changes: str | bytes) -> dict[str, str | bytes]:
    """The head of an upload by somebody who may; ``Content_Length`` spells the header's name."""
    headers: dict[str, str | bytes] = {
        "X-Api-Key": str(server.http.headers["X-Api-Key"]),
        "Content-Type": OCTETS,
    }
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}


def unchanging(site: Site) -> dict[str, bytes]:
    """Every file with its bytes, but SQLite's own bookkeeping, which readers write too."""
    return {name: content for name, content in site.files().items() if name in site.names()}


def without_receipts(site: Site) -> set[str]:
    """The names, but for the receipts of snapshots: one is written after the last byte has gone."""
    return {name for name in site.names() if not name.endswith(".sent-snapshots.jsonl")}


def open_snapshots(server: Server) -> list[str]:
    """Snapshots that a worker has open; they have no name any more."""
    return [name for name, _ in open_files(server) if "tasks.db.snapshot-" in name]


def open_files(server: Server) -> list[tuple[str, int]]:
    """Every regular file that a worker has open, with its length."""
    found = []
    for pid in server.worker_pids():
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name, status = os.readlink(entry), entry.stat()
            except FileNotFoundError:  # closed meanwhile
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((name, status.st_size))
    return found


# Download


def test_download_is_streamed_with_its_length(shared: Server) -> None:
    answer = shared.api("GET", "backup")
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 0
    assert answer.headers["Content-Type"] == SQLITE
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Transfer-Encoding" not in answer.headers


def test_download_is_named_after_the_site_and_the_time_in_utc(shared: Server) -> None:
    disposition = shared.api("GET", "backup").headers["Content-Disposition"]
    match = re.fullmatch(r'attachment; filename="taskdog-backup-(\d{8}-\d{6})\.db"', disposition)
    assert match, disposition
    taken_at = datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - taken_at) < timedelta(minutes=1)


@pytest.mark.proof
def test_download_taken_while_a_writer_inserts_is_whole_and_has_every_committed_row(
    site: Site, tmp_path: Path
) -> None:
    add_tasks(site.database, "first")
    path, committed, enough = tmp_path / "taken.db", [1], threading.Event()

    def insert() -> None:
        with closing(sqlite3.connect(site.database, timeout=30)) as connection:
            while not enough.is_set():
                connection.execute(
                    "INSERT INTO tags (name, created_at) VALUES (hex(randomblob(9)), ?)", (NOW,)
                )
                connection.commit()
                committed[0] += 1

    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        writer = threading.Thread(target=insert)
        writer.start()
        try:
            until(lambda: committed[0] > 20)
            before = committed[0]
            path.write_bytes(server.api("GET", "backup").content)
            after = committed[0]
        finally:
            enough.set()
            writer.join()

    assert task_names(path) == ["first"]
    with closing(sqlite3.connect(path)) as taken:
        (rows,) = taken.execute("SELECT count(*) FROM tags").fetchone()
    assert before - 1 <= rows <= after + 1
    assert after > before, "the writer went on while the snapshot was taken"


@pytest.mark.parametrize("accept", ACCEPTS)
def test_any_accept_header_gets_the_file(shared: Server, accept: str) -> None:
    answer = shared.api("GET", "backup", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, SQLITE)
    assert answer.content.startswith(b"SQLite format 3\0")


@pytest.mark.parametrize("accept", ACCEPTS)
def test_errors_of_a_download_are_json_whatever_is_accepted(shared: Server, accept: str) -> None:
    answer = shared.api("GET", "backup", headers={"Accept": accept, "X-Api-Key": ""})
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json")
    assert answer.json() == {"detail": "API key required"}


@pytest.mark.parametrize("key", ["", "wrong", "schlüssel".encode(), b"\xff\xfe"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "backup"),
        ("GET", "restore"),
        ("POST", "restore"),
        ("DELETE", "restore"),
        ("POST", "restore?apply=now"),
        ("POST", "restore/undo"),
        ("GET", "restores"),
    ],
)
def test_nobody_gets_in_without_the_right_key(
    shared: Server, method: str, path: str, key: str | bytes
) -> None:
    elsewhere = {"X-Forwarded-For": next(ADDRESSES)}  # or the many wrong ones would be too many
    answer = shared.api(method, path, headers={"X-Api-Key": key, **elsewhere})
    assert answer.status_code == 401
    assert answer.json()["detail"] in ("API key required", "Invalid API key")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "backup", "backup"),
        ("GET", "restore", "restore"),
        ("POST", "restore", "restore"),
        ("DELETE", "restore", "restore"),
        ("POST", "restore?apply=now", "restore"),
        ("POST", "restore/undo", "restore"),
        ("GET", "restores", "restore"),
    ],
)
def test_a_key_without_the_scope_is_told_which_one_it_lacks(
    shared: Server, tasks_key: str, method: str, path: str, scope: str
) -> None:
    answer = shared.api(method, path, headers={"X-Api-Key": tasks_key})
    assert answer.status_code == 403
    assert f"'{scope}'" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_a_backup_can_only_be_got(shared: Server, method: str) -> None:
    assert shared.api(method, "backup").status_code == 405


@pytest.mark.proof
def test_hanging_up_in_mid_download_leaves_no_file_for_long_and_the_worker_goes_on(
    large: Site,
) -> None:
    before = large.names()
    with large.serving(TASKDOG_RESUME_SECONDS="1") as server:
        server.http.headers["Connection"] = "close"
        with closing(start_request(server.url, "GET", "/api/v1/backup", head(server))) as client:
            response = client.getresponse()
            assert len(response.read(100_000)) == 100_000
            assert open_snapshots(server), "the snapshot is on the disk while it is sent"
            response.close()
        server.wait_for_log(r'"GET /api/v1/backup')
        assert len(large.names() - before) == 1, "its rest may be asked for"
        until(lambda: not open_snapshots(server))
        assert large.names() == before
        assert len(server.worker_pids()) == 2, "no worker had to be replaced"
        assert len(server.api("GET", "backup").content) > BALLAST * 1_000_000


@pytest.mark.proof
def test_killed_in_mid_download_leaves_no_file_after_the_next_start(large: Site) -> None:
    before = large.names()
    with (
        large.serving() as server,
        closing(start_request(server.url, "GET", "/api/v1/backup", head(server))) as client,
    ):
        response = client.getresponse()
        response.read(100_000)
        server.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    assert len(large.names() - before) == 1
    assert large.manage("check").code == 0
    assert large.names() == before


@pytest.mark.proof
def test_killed_while_a_snapshot_is_written_leaves_no_file_after_the_next_start(
    large: Site,
) -> None:
    def unfinished() -> list[Path]:
        return list(large.data.glob("tasks.db.snapshot-*"))

    with (
        large.serving() as server,
        closing(start_request(server.url, "GET", "/api/v1/backup", head(server))),
    ):
        until(unfinished)
        server.kill()
    assert unfinished(), "killed too late to prove anything"

    with large.serving() as server:
        server.http.headers["Connection"] = "close"
        assert not unfinished()
        assert server.task_names() == ["live"]


@pytest.mark.proof
@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_live_database_that_cannot_be_read_is_an_error_and_not_an_empty_file(
    site: Site, content: bytes
) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        site.database.write_bytes(content)
        answer = server.api("GET", "backup")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/json")
    assert answer.json()["code"] == "snapshot_failed"
    assert str(site.database) in answer.json()["detail"]
    assert site.database.read_bytes() == content
    assert not list(site.data.glob("*snapshot*"))


@pytest.mark.proof
def test_a_missing_live_database_is_an_error_and_is_not_created(site: Site) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        site.database.unlink()
        answer = server.api("GET", "backup")
    assert (answer.status_code, answer.json()["code"]) == (500, "snapshot_failed")
    assert not site.database.exists()


# Failures that are injected


@pytest.fixture
def key(site: Site) -> Iterator[str]:
    with override_settings(BACKUPS_KEY_FILE=site.data / "api_keys.json"):
        yield site.key


@pytest.fixture
def client(
    site: Site,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[APIClient]:
    """A client of this very process, whose live database is the site's file."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", site.database)
    with django_db_blocker.unblock():
        yield APIClient(headers={"X-Api-Key": key})
        connections["default"].close()


def test_in_memory_database_is_not_supported(
    client: APIClient, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    for answer in (
        client.get("/api/v1/backup"),
        client.get("/api/v1/restore"),
        client.post("/api/v1/restore", data=good.read_bytes(), content_type=OCTETS),
        client.delete("/api/v1/restore"),
        client.post("/api/v1/restore/undo"),
        client.get("/api/v1/restores"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (501, "not_supported")
        assert "in memory" in answer.json()["detail"]


def test_browser_gets_json_where_the_templates_of_a_page_are_not_installed(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_authenticate(User(username="ann", is_staff=True))
    browser = {"Accept": "text/html,*/*;q=0.8"}
    page = client.get("/api/v1/restore", headers=browser)
    assert page.headers["Content-Type"].startswith("text/html")
    is_installed = apps.is_installed
    monkeypatch.setattr(
        apps, "is_installed", lambda name: name != "rest_framework" and is_installed(name)
    )
    answer = client.get("/api/v1/restore", headers=browser)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["status"] == "nothing"


def test_download_without_enough_room_says_how_much_is_missing(
    client: APIClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    before = site.files()
    answer = client.get("/api/v1/backup", headers={"Accept": "text/html"})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (507, "not_enough_space")
    assert body["free_bytes"] == 1000
    assert 0 < body["needed_bytes"] <= site.database.stat().st_size
    assert f"{body['needed_bytes']:,}" in body["detail"]
    assert "1,000" in body["detail"]
    assert site.files() == before


def test_client_that_is_gone_takes_no_snapshot(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = socket.socket()
    gone.close()
    server: dict[str, Any] = {"gunicorn.socket": gone}
    taken = mock.Mock(side_effect=AssertionError)
    monkeypatch.setattr(services, "create_snapshot", taken)
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.get("/api/v1/backup", **server)
    taken.assert_not_called()


def test_upload_without_enough_room_is_refused_before_it_is_read(
    client: APIClient, site: Site, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    before = site.files()
    answer = client.post("/api/v1/restore", data=good.read_bytes(), content_type=OCTETS)
    assert answer.status_code == 507
    assert answer.json()["needed_bytes"] == good.stat().st_size
    assert answer.json()["free_bytes"] == 1000
    assert site.files() == before


# Upload


@pytest.mark.parametrize("form", ["multipart", OCTETS, SQLITE])
def test_upload_answers_200_and_pending(
    api: Server, shared_site: Site, good: Path, form: str
) -> None:
    before = shared_site.database.read_bytes()
    with good.open("rb") as content:
        if form == "multipart":
            answer = api.api("POST", "restore", files={"file": content})
        else:
            answer = api.api("POST", "restore", data=content, headers={"Content-Type": form})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    staged_at = datetime.fromisoformat(body.pop("staged_at"))
    assert abs(datetime.now(UTC) - staged_at) < timedelta(minutes=1)
    assert body == {
        "status": "pending",
        "message": "restart required",
        "size": good.stat().st_size,
        "sha256": hashlib.sha256(good.read_bytes()).hexdigest(),
        "staged_by": "tester",
        "migrations": [],
        "warnings": [],
        "undoes": None,
        "next_start": "The next start keeps the current database as tasks.db.pre-restore-<time>"
        " and puts the snapshot in place as tasks.db.",
    }
    assert shared_site.database.read_bytes() == before
    pending = shared_site.data / "tasks.db.pending-restore"
    assert pending.read_bytes() == good.read_bytes()
    assert stat.S_IMODE(pending.stat().st_mode) == 0o600
    assert api.task_names() == ["live"]


def test_upload_that_is_older_says_what_the_next_start_will_run(
    api: Server, good: Path, tmp_path: Path
) -> None:
    old = Path(shutil.copy(good, tmp_path))
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("DROP TABLE django_session")
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()
    body = api.api("POST", "restore", files={"file": old.read_bytes()}).json()
    assert body["migrations"] == ["sessions.0001_initial"]
    assert "runs 1 migration on the snapshot" in body["next_start"]


def test_snapshot_in_wal_mode_is_taken(api: Server, good: Path, tmp_path: Path) -> None:
    wal = Path(shutil.copy(good, tmp_path))
    with closing(sqlite3.connect(wal)) as connection:
        assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    answer = api.api("POST", "restore", files={"file": wal.read_bytes()})
    assert answer.status_code == 200, answer.text


def test_second_upload_replaces_the_first(
    api: Server, shared_site: Site, good: Path, tmp_path: Path
) -> None:
    newer = Path(shutil.copy(good, tmp_path))
    add_tasks(newer, "newer")
    first = api.api("POST", "restore", files={"file": good.read_bytes()}).json()
    second = api.api("POST", "restore", files={"file": newer.read_bytes()}).json()
    assert first["sha256"] != second["sha256"]
    assert api.api("GET", "restore").json()["sha256"] == second["sha256"]
    assert task_names(shared_site.data / "tasks.db.pending-restore") == ["restored", "newer"]
    manifests = list(shared_site.data.glob("tasks.db.pending-restore.*.json"))
    assert len(manifests) == 1, "nothing is left of the first"


@pytest.mark.parametrize("form", [pytest.param("multipart", marks=pytest.mark.proof), OCTETS])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_upload_is_refused_in_its_own_words_and_changes_nothing(
    api: Server, shared_site: Site, good: Path, tmp_path: Path, bad: Bad, form: str
) -> None:
    api.api("POST", "restore", files={"file": good.read_bytes()}).raise_for_status()
    spoilt = Path(shutil.copy(good, tmp_path))
    bad.spoil(spoilt)
    before = unchanging(shared_site)
    content = spoilt.read_bytes()
    if form == "multipart":
        answer = api.api("POST", "restore", files={"file": ("x.db", content)})
    else:
        answer = api.api("POST", "restore", data=content, headers={"Content-Type": form})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, bad.code), body
    assert re.search(bad.sentence, body["detail"]), body
    assert body["hint"]
    assert unchanging(shared_site) == before
    assert api.api("GET", "restore").json()["status"] == "pending"


def test_every_kind_of_invalid_snapshot_is_tried() -> None:
    kinds = {kind.code for kind in exceptions.InvalidSnapshotError.__subclasses__()}
    slow = exceptions.CheckTimedOutError.code  # no upload is slow enough to wait for here
    moved = exceptions.UnfitRowsError.code  # SQLite can hold what comes from SQLite
    assert {bad.code for bad in BAD.values()} == kinds - {slow, moved}


def test_upload_without_the_field_says_which_one_is_missing(
    api: Server, shared_site: Site, good: Path
) -> None:
    before = unchanging(shared_site)
    answer = api.api("POST", "restore", files={"upload": good.read_bytes()})
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_interrupted")
    assert answer.json()["detail"] == "The form has no file in a field called 'file'."
    assert unchanging(shared_site) == before


def test_upload_without_a_body_is_empty(api: Server) -> None:
    answer = api.api("POST", "restore", headers={"Content-Type": OCTETS})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The upload is empty (0 bytes)."


def test_file_after_other_fields_is_found(api: Server, good: Path) -> None:
    content = good.read_bytes()
    answer = api.api("POST", "restore", data={"note": "x" * 5000}, files={"file": content})
    assert answer.status_code == 200, answer.text


def test_two_files_are_refused(api: Server, shared_site: Site, good: Path) -> None:
    before = unchanging(shared_site)
    content = good.read_bytes()
    answer = api.api("POST", "restore", files=[("file", content), ("file", content)])
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "The form has more than one 'file'.",
    )
    assert unchanging(shared_site) == before


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=other"]
)
def test_form_with_a_broken_boundary_is_refused(
    api: Server, shared_site: Site, good: Path, content_type: str
) -> None:
    before = unchanging(shared_site)
    form = requests.Request("POST", "http://x", files={"file": good.read_bytes()}).prepare()
    answer = api.api("POST", "restore", data=form.body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_interrupted")
    assert unchanging(shared_site) == before


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png", None])
def test_other_media_types_are_not_taken(
    api: Server, shared_site: Site, good: Path, content_type: str | None
) -> None:
    before = unchanging(shared_site)
    answer = api.api(
        "POST", "restore", data=good.read_bytes(), headers={"Content-Type": content_type}
    )
    assert answer.status_code == 415
    assert "is not accepted" in answer.json()["detail"]
    assert "application/vnd.sqlite3" in answer.json()["hint"]
    assert unchanging(shared_site) == before


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "compress"])
def test_coding_that_is_not_undone_is_refused(
    api: Server, shared_site: Site, good: Path, coding: str
) -> None:
    before = unchanging(shared_site)
    headers = {"Content-Type": OCTETS, "Content-Encoding": coding}
    answer = api.api("POST", "restore", data=good.read_bytes(), headers=headers)
    assert answer.status_code == 415
    assert f"Content-Encoding {coding} is not accepted" in answer.json()["detail"]
    assert "packed by gzip or zstd" in answer.json()["hint"]
    assert unchanging(shared_site) == before


def test_form_that_is_packed_as_a_whole_is_refused(api: Server, good: Path) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = api.api("POST", "restore", files={"file": good.read_bytes()}, headers=headers)
    assert answer.status_code == 415


def test_upload_in_a_coding_is_unpacked(api: Server, good: Path) -> None:
    headers = {"Content-Type": OCTETS, "Content-Encoding": "gzip"}
    packed = gzip.compress(good.read_bytes())
    answer = api.api("POST", "restore", data=packed, headers=headers)
    assert (answer.status_code, answer.json()["size"]) == (200, good.stat().st_size)
    assert answer.headers["Cache-Control"] == "no-store"


def test_upload_that_does_not_say_its_length_is_refused(api: Server, shared_site: Site) -> None:
    before = unchanging(shared_site)
    status, body = answer_to_head(
        api.url, "POST", "/api/v1/restore", head(api, Transfer_Encoding="chunked"), b"4\r\nSQLi\r\n"
    )
    assert status == 411
    assert b'"code":"length_required"' in body
    assert unchanging(shared_site) == before


def test_upload_over_the_limit_is_refused_before_it_is_sent(api: Server, shared_site: Site) -> None:
    before = unchanging(shared_site)
    status, body = answer_to_head(
        api.url, "POST", "/api/v1/restore", head(api, Content_Length=str(LIMIT + 1))
    )
    assert status == 413
    assert b'"code":"too_large"' in body
    assert f"{LIMIT:,}".encode() in body
    assert unchanging(shared_site) == before


def test_upload_is_refused_as_soon_as_it_passes_the_limit(api: Server, shared_site: Site) -> None:
    before = unchanging(shared_site)
    start = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nSQLite format 3\0'
    )
    # The form's own allowance of 64 KiB lets this length through; the end is never sent.
    length = LIMIT + 60_000
    headers = head(api, Content_Type="multipart/form-data; boundary=b", Content_Length=str(length))
    body = start.ljust(length - 1000, b"x")
    status, answer = answer_to_head(api.url, "POST", "/api/v1/restore", headers, body)
    assert status == 413, answer
    assert b'"code":"too_large"' in answer
    assert unchanging(shared_site) == before


@pytest.mark.parametrize("path", ["restore", "restore?apply=now"])
def test_upload_without_a_turn_is_refused_before_any_of_it_is_read(
    path: str, api: Server, shared_site: Site
) -> None:
    """Its answer comes while the client still has everything to send."""
    before = without_receipts(shared_site)
    taken = StorePaths.of(shared_site.database)
    form = "multipart/form-data; boundary=b"
    with UploadTurn(taken, at_once=2), UploadTurn(taken, at_once=2):
        for kind in (OCTETS, form):
            headers = head(api, Content_Type=kind, Content_Length="500000")
            with closing(start_request(api.url, "POST", f"/api/v1/{path}", headers)) as connection:
                answer = connection.getresponse()
                body = json.loads(answer.read())
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
            assert body["code"] == "too_many_uploads"
            assert body["detail"].startswith("2 uploads or checks for tasks.db are under way")
            assert "BACKUPS_UPLOADS_AT_ONCE" in body["hint"]
        assert api.api("GET", "restore").json()["status"] == "nothing"
        assert without_receipts(shared_site) == before
        assert api.api("GET", "backup").status_code == 200


def test_undo_without_a_turn_is_refused_too(api: Server, shared_site: Site) -> None:
    taken = StorePaths.of(shared_site.database)
    with UploadTurn(taken, at_once=2), UploadTurn(taken, at_once=2):
        refused = api.api("POST", "restore/undo")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    assert refused.json()["code"] == "too_many_uploads"


def test_refused_upload_gives_its_turn_back(api: Server, good: Path) -> None:
    for _ in range(3):
        bad = api.api("POST", "restore", data=b"nonsense", headers={"Content-Type": OCTETS})
        assert bad.status_code == 400
    sent = api.api("POST", "restore", data=good.read_bytes(), headers={"Content-Type": OCTETS})
    assert sent.status_code == 200


def test_wrong_key_is_told_so_though_there_is_no_turn(shared: Server, shared_site: Site) -> None:
    taken = StorePaths.of(shared_site.database)
    with UploadTurn(taken, at_once=2), UploadTurn(taken, at_once=2):
        headers = head(shared, X_Api_Key="wrong", Content_Length="500000")
        assert answer_to_head(shared.url, "POST", "/api/v1/restore", headers)[0] == 401


def test_anonymous_gets_401_before_the_body_is_read(shared: Server) -> None:
    headers = head(shared, X_Api_Key="wrong", Content_Length="500000")
    assert answer_to_head(shared.url, "POST", "/api/v1/restore", headers)[0] == 401


def test_key_without_the_scope_gets_403_before_the_body_is_read(
    shared: Server, tasks_key: str
) -> None:
    headers = head(shared, X_Api_Key=tasks_key, Content_Length="500000")
    assert answer_to_head(shared.url, "POST", "/api/v1/restore", headers)[0] == 403


@pytest.mark.parametrize("is_half_closed", [False, True])
def test_check_ends_when_its_client_leaves_and_not_when_it_only_has_nothing_more_to_send(
    api: Server, shared_site: Site, good: Path, tmp_path: Path, *, is_half_closed: bool
) -> None:
    hostile = tmp_path / "endless.db"
    shutil.copyfile(good, hostile)
    content = builders.endless_to_check(hostile).read_bytes()
    before = shared_site.names()
    headers = head(api, Content_Length=str(len(content)))
    with closing(start_request(api.url, "POST", "/api/v1/restore", headers)) as connection:
        connection.send(content)
        until(lambda: at_check(shared_site))
        if is_half_closed:
            assert connection.sock is not None
            connection.sock.shutdown(socket.SHUT_WR)
            assert connection.sock.recv(8).startswith(
                b"HTTP/1.1"
            )  # it was asked whether it is there
            assert at_check(shared_site)
    until(lambda: not at_check(shared_site))
    log = api.wait_for_log(r"restore by .* not staged: (.*)")
    assert log[1].startswith("The client hung up while the file was being checked")
    until(lambda: shared_site.names() == before)
    taken = StorePaths.of(shared_site.database)
    until(lambda: has_a_turn(taken))


def at_check(site: Site) -> list[str]:
    """The arguments of the processes that check an upload of this site."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = cmdline.read_bytes().decode(errors="replace")
            if "backups.sqlite.checking.check_child" in words and str(site.data) in words:
                found.append(words)
    return found


def has_a_turn(paths: StorePaths) -> bool:
    """Whether both of them are free."""
    with (
        suppress(exceptions.TooManyUploadsError),
        UploadTurn(paths, at_once=2),
        UploadTurn(paths, at_once=2),
    ):
        return True
    return False


def test_client_that_goes_away_in_mid_upload_leaves_no_file(
    api: Server, shared_site: Site, good: Path
) -> None:
    before = unchanging(shared_site)
    content = good.read_bytes()

    def incoming() -> list[Path]:
        return list(shared_site.data.glob("tasks.db.incoming-*"))

    headers = head(api, Content_Length=str(len(content)))
    with closing(start_request(api.url, "POST", "/api/v1/restore", headers)) as client:
        client.send(content[:-1])
        until(incoming)
        assert stat.S_IMODE(incoming()[0].stat().st_mode) == 0o600
    until(lambda: not incoming())
    assert unchanging(shared_site) == before
    assert api.api("GET", "restore").json()["status"] == "nothing"
    assert api.api("POST", "restore", files={"file": content}).status_code == 200


@pytest.mark.proof
def test_killed_in_mid_upload_leaves_no_file_after_the_next_start(site: Site, good: Path) -> None:
    content = good.read_bytes()

    def incoming() -> list[Path]:
        return list(site.data.glob("tasks.db.incoming-*"))

    before = site.names()
    with site.serving() as server:
        headers = head(server, Content_Length=str(len(content)))
        with closing(start_request(server.url, "POST", "/api/v1/restore", headers)) as client:
            client.send(content[:-1])
            until(incoming)
            server.kill()
    assert incoming(), "killed too late to prove anything"

    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        assert site.names() == before
        assert server.api("GET", "restore").json()["status"] == "nothing"


@pytest.mark.proof
def test_nothing_of_an_upload_goes_through_the_temporary_folder(
    site: Site, good: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    content = good.read_bytes() + bytes(5_000_000)
    form = requests.Request("POST", "http://x", files={"file": content}).prepare()
    assert isinstance(form.body, bytes)
    with site.serving(TMPDIR=str(temporary)) as server:
        headers = head(
            server,
            Content_Type=form.headers["Content-Type"],
            Content_Length=str(len(form.body)),
        )
        with closing(start_request(server.url, "POST", "/api/v1/restore", headers)) as client:
            client.send(form.body[:-100_000])
            (incoming,) = until(lambda: list(site.data.glob("tasks.db.incoming-*")))
            until(lambda: incoming.stat().st_size > 4_000_000)
            large = [name for name, size in open_files(server) if size > 1_000_000]
            assert large == [str(incoming)]
            assert not list(temporary.iterdir())
            client.send(form.body[-100_000:])
            assert client.getresponse().status == 400
    assert not list(temporary.iterdir())


# What is pending


def test_status_is_nothing_before_an_upload(api: Server) -> None:
    status = api.api("GET", "restore").json()
    users = status.pop("in_use_by")
    assert status == {
        "status": "nothing",
        "message": "no restore is pending",
        "last": None,
        "max_upload_bytes": LIMIT,
    }
    for pid in (api.process.pid, *api.worker_pids()):
        assert any(user.startswith(f"pid {pid}") for user in users)


def test_status_is_pending_after_an_upload(api: Server, good: Path) -> None:
    staged = api.api("POST", "restore", files={"file": good.read_bytes()}).json()
    status = api.api("GET", "restore").json()
    message = staged.pop("message")
    assert message == "restart required"
    assert status.items() >= staged.items()
    assert status["last"] is None
    assert status["waiting_for"] == status["in_use_by"]
    assert status["message"] == f"{message}; waiting for {', '.join(status['waiting_for'])}"
    for pid in (api.process.pid, *api.worker_pids()):
        assert f"pid {pid} (" in status["message"]


def test_discarding_leaves_no_trace_of_what_was_pending_but_its_receipts(
    api: Server, shared_site: Site, good: Path
) -> None:
    receipts = "tasks.db.restore-receipts.jsonl"
    before = unchanging(shared_site) | {receipts: b""}
    told = len(shared_site.receipts())
    staged = api.api("POST", "restore", files={"file": good.read_bytes()}).json()
    answer = api.api("DELETE", "restore")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "discarded",
        "message": "the pending restore was discarded",
    } | {name: staged[name] for name in ("size", "sha256", "staged_at", "staged_by")}
    assert unchanging(shared_site) | {receipts: b""} == before
    assert [receipt["outcome"] for receipt in shared_site.receipts()[told:]] == [
        "staged",
        "discarded",
    ]
    assert api.api("GET", "restore").json()["status"] == "nothing"


def test_discarding_nothing_is_not_found(api: Server) -> None:
    answer = api.api("DELETE", "restore")
    assert (answer.status_code, answer.json()["code"]) == (404, "nothing_pending")
    assert answer.json()["detail"] == "No restore is pending."


@pytest.mark.proof
def test_status_tells_what_the_last_restore_did(site: Site, good: Path) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        staged = server.api("POST", "restore", files={"file": good.read_bytes()}).json()
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        status = server.api("GET", "restore").json()
    last = status["last"]
    assert status["status"] == "nothing"
    assert (last["outcome"], last["reason"], last["migrations"]) == ("applied", "", [])
    assert [site.data / last["kept"]] == site.kept()
    for name in ("size", "sha256", "staged_at", "staged_by"):
        assert last[name] == staged[name]


# Apply, undo, and what happened


@pytest.mark.parametrize("apply", ["later", "", "NOW"])
def test_other_values_of_apply_are_refused_before_the_body_is_read(
    api: Server, shared_site: Site, apply: str
) -> None:
    before = unchanging(shared_site)
    path = f"/api/v1/restore?apply={apply}"
    status, body = answer_to_head(api.url, "POST", path, head(api, Content_Length="500000"))
    assert status == 400
    assert b'"code":"bad_parameter"' in body
    assert f"not {apply!r}".encode() in body
    assert api.api("POST", f"restore/undo?apply={apply}").json()["code"] == "bad_parameter"
    assert unchanging(shared_site) == before


@pytest.mark.parametrize("accept", ["", "damage", "defects,", "defects;foreign"])
def test_other_words_of_accept_are_refused_before_the_body_is_read(
    api: Server, shared_site: Site, accept: str
) -> None:
    before = unchanging(shared_site)
    path = f"/api/v1/restore?accept={accept}"
    status, body = answer_to_head(api.url, "POST", path, head(api, Content_Length="500000"))
    assert status == 400
    assert b"accept takes defects and foreign, not" in body
    assert unchanging(shared_site) == before


def test_apply_at_a_restart_is_what_happens_anyway(api: Server, good: Path) -> None:
    answer = api.api("POST", "restore?apply=restart", files={"file": good.read_bytes()})
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


def test_nothing_kept_is_not_found(api: Server, shared_site: Site) -> None:
    before = unchanging(shared_site)
    for path in ("restore/undo", "restore/undo?apply=now"):
        answer = api.api("POST", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_kept")
        assert "No restore has been applied yet" in answer.json()["detail"]
    assert unchanging(shared_site) == before


def test_everything_that_happened_is_listed_newest_first(
    api: Server, shared_site: Site, good: Path
) -> None:
    api.api("POST", "restore", files={"file": good.read_bytes()})
    api.api("DELETE", "restore")
    listed = api.api("GET", "restores").json()
    assert listed.keys() == {"restores", "kept", "downloads"}
    assert listed["kept"] == []
    assert [receipt["id"] for receipt in listed["restores"]] == [
        receipt["id"] for receipt in reversed(shared_site.receipts())
    ][:100]
    discarded, staged = listed["restores"][:2]
    assert (discarded["outcome"], discarded["by"]) == ("discarded", "tester")
    assert (staged["outcome"], staged["size"]) == ("staged", good.stat().st_size)
    assert api.api("GET", "restores?limit=1").json()["restores"] == [discarded]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "many", "", "9" * 3000])
def test_limit_that_is_none_is_refused(shared: Server, limit: str) -> None:
    answer = shared.api("GET", f"restores?limit={limit}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert "from 1 to 1,000" in answer.json()["detail"]


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_limit_at_its_ends_is_taken(shared: Server, limit: str) -> None:
    assert shared.api("GET", f"restores?limit={limit}").status_code == 200


def test_without_room_for_both_contents_it_stays_pending(
    client: APIClient, site: Site, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> Any:
        raise exceptions.NotEnoughSpaceError("No room.", needed_bytes=20, free_bytes=10)

    monkeypatch.setattr("backups.services.apply_now", full)
    answer = client.post("/api/v1/restore?apply=now", data=good.read_bytes(), content_type=OCTETS)
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (
        507,
        "pending",
        "not_enough_space",
    )
    assert (body["needed_bytes"], body["free_bytes"]) == (20, 10)
    assert body["size"] == good.stat().st_size


def test_another_upload_that_came_between_is_not_applied_for_this_one(
    client: APIClient, site: Site, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tasks(site.database, "live")
    other = Path(shutil.copy(good, tmp_path / "other.db"))
    add_tasks(other, "another")
    apply_now = services.apply_now

    def too_late(**options: Any) -> Any:
        services.stage_restore([other.read_bytes()], staged_by="somebody else")
        return apply_now(**options)

    monkeypatch.setattr(services, "apply_now", too_late)
    services.hold_presence()
    try:
        answer = client.post(
            "/api/v1/restore?apply=now", data=good.read_bytes(), content_type=OCTETS
        )
    finally:
        services.release_presence()
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "blocked")
    assert (body["status"], body["staged_by"]) == ("pending", "somebody else")
    assert "What somebody else staged is pending now." in body["hint"]
    assert task_names(site.database) == ["live"]


# The browsable API


def test_program_with_a_key_gets_json_whatever_it_accepts(api: Server) -> None:
    """A site's page may query by the user, which a key is not."""
    for path in ("restore", "restores"):
        answer = api.api("GET", path, headers={"Accept": "text/html"})
        assert answer.headers["Content-Type"] == "application/json"


class Forms(HTMLParser):
    """The forms of a page, each with its attributes and its inputs."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.found: list[tuple[dict[str, str | None], list[dict[str, str | None]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.found.append((dict(attrs), []))
        elif tag == "input" and self.found:
            self.found[-1][1].append(dict(attrs))

    def with_input(self, name: str) -> tuple[dict[str, str | None], dict[str, Any]]:
        """The form with an input of this name: its attributes, and the values of its inputs."""
        for attributes, inputs in self.found:
            values = {str(each.get("name")): each.get("value") or "" for each in inputs}
            if name in values:
                return attributes, values
        raise AssertionError(f"no form has an input {name!r}")

    def that_posts_to(self, action: str) -> dict[str, Any]:
        """The values of the inputs of the first form that posts there."""
        for attributes, inputs in self.found:
            if (attributes.get("method"), attributes.get("action")) == ("POST", action):
                return {str(each.get("name")): each.get("value") for each in inputs}
        raise AssertionError(f"no form posts to {action!r}")


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.update({"Accept": "text/html", "Connection": "close"})
        yield session


def log_in(browser: requests.Session, server: Server, name: str) -> requests.Response:
    page = browser.get(f"{server.url}/api-auth/login/?next=/api/v1/restore")
    _, fields = Forms(page.text).with_input("password")
    fields |= {"username": name, "password": PASSWORD}
    return browser.post(page.url, data=fields)


def test_staff_upload_with_the_form_of_the_page(
    api: Server, browser: requests.Session, good: Path
) -> None:
    page = log_in(browser, api, "ann")
    assert (page.status_code, page.url) == (200, f"{api.url}/api/v1/restore")
    attributes, fields = Forms(page.text).with_input("file")
    assert (attributes["method"], attributes["enctype"]) == ("POST", "multipart/form-data")
    del fields["file"]
    answer = browser.post(
        f"{api.url}{attributes['action']}", data=fields, files={"file": good.read_bytes()}
    )
    assert answer.status_code == 200
    assert "restart required" in answer.text
    assert api.api("GET", "restore").json()["staged_by"] == "ann"


def test_restore_without_the_account_of_who_uploads_is_taken_with_a_warning(
    api: Server, browser: requests.Session, good: Path, tmp_path: Path
) -> None:
    log_in(browser, api, "ann")
    headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Accept": "application/json"}
    url = f"{api.url}/api/v1/restore"
    (warning,) = browser.post(url, files={"file": good.read_bytes()}, headers=headers).json()[
        "warnings"
    ]
    assert warning.startswith("The account ann is not in the snapshot")
    assert api.api("GET", "restore").json()["warnings"] == [warning]

    with closing(sqlite3.connect(Path(shutil.copy(good, tmp_path)))) as connection:
        connection.execute(
            "INSERT INTO auth_user SELECT 7, '', NULL, 0, 'ann', '', '', 0, 1, ?, ''", [NOW]
        )
        connection.commit()
    with_ann = (tmp_path / good.name).read_bytes()
    answer = browser.post(url, files={"file": with_ann}, headers=headers)
    assert answer.json()["warnings"] == []


def test_key_has_no_account_that_could_be_missing(api: Server, good: Path) -> None:
    """Keys are outside the database; its name may even be that of a user."""
    answer = api.api("POST", "restore", files={"file": good.read_bytes()})
    assert answer.json()["warnings"] == []


def test_trigger_that_the_site_does_not_have_is_refused_naming_it(
    api: Server, shared_site: Site, good: Path, tmp_path: Path
) -> None:
    evil = Path(shutil.copy(good, tmp_path))
    with closing(sqlite3.connect(evil)) as connection:
        connection.execute(
            "CREATE TRIGGER evil AFTER INSERT ON tasks BEGIN"
            " UPDATE auth_user SET is_superuser = 1; END"
        )
    before = unchanging(shared_site)
    answer = api.api("POST", "restore", files={"file": evil.read_bytes()})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_schema")
    assert "has the trigger evil, which this site's database does not have" in answer.text
    assert "BACKUPS_ALLOW_UNKNOWN_SCHEMA" in answer.json()["hint"]
    assert unchanging(shared_site) == before


@pytest.mark.proof
def test_login_that_came_with_a_snapshot_is_no_login_after_the_restore(
    site: Site, browser: requests.Session, tmp_path: Path, shared_site: Site
) -> None:
    """ann logs in, a snapshot is taken, she logs out: the restore must not log her in again."""
    shutil.copyfile(shared_site.database, site.database)
    with site.serving() as server:
        log_in(browser, server, "ann")
        cookie = browser.cookies["sessionid"]
        snapshot = server.api("GET", "backup").content
        page = browser.get(f"{server.url}/api/v1/restore")
        browser.post(
            f"{server.url}/api-auth/logout/",
            data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]},
        )
        assert page.status_code == 200
        assert server.api("POST", "restore", files={"file": snapshot}).status_code == 200
    with site.serving() as server:
        assert site.receipts()[-1]["outcome"] == "applied"
        revived = {"Cookie": f"sessionid={cookie}", "Connection": "close"}
        answer = requests.get(f"{server.url}/api/v1/restore", headers=revived, timeout=60)
        assert answer.status_code == 401
        log_in(browser, server, "ann")
        assert browser.get(f"{server.url}/api/v1/restore").status_code == 200


def test_staff_see_why_a_file_is_refused_on_the_page(
    api: Server, browser: requests.Session
) -> None:
    page = log_in(browser, api, "ann")
    attributes, fields = Forms(page.text).with_input("file")
    del fields["file"]
    answer = browser.post(
        f"{api.url}{attributes['action']}", data=fields, files={"file": b"just a text"}
    )
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "The file is not a SQLite database" in answer.text


def test_session_without_the_form_s_token_stages_nothing(
    api: Server, shared_site: Site, browser: requests.Session, good: Path
) -> None:
    log_in(browser, api, "ann")
    before = unchanging(shared_site)
    for answer in (
        browser.post(f"{api.url}/api/v1/restore", files={"file": good.read_bytes()}),
        browser.post(
            f"{api.url}/api/v1/restore",
            data={"csrfmiddlewaretoken": "x" * 64},
            files={"file": good.read_bytes()},
        ),
        browser.post(
            f"{api.url}/api/v1/restore",
            data=good.read_bytes(),
            headers={"Content-Type": OCTETS},
        ),
        browser.delete(f"{api.url}/api/v1/restore"),
    ):
        assert answer.status_code == 403
        assert "CSRF" in answer.text
    assert unchanging(shared_site) == before


def test_user_who_is_not_staff_may_not_restore(
    api: Server, shared_site: Site, browser: requests.Session, good: Path
) -> None:
    page = log_in(browser, api, "bob")
    assert page.status_code == 403
    before = unchanging(shared_site)
    answer = browser.post(
        f"{api.url}/api/v1/restore",
        data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]},
        files={"file": good.read_bytes()},
    )
    assert answer.status_code == 403
    assert browser.get(f"{api.url}/api/v1/backup").status_code == 403
    assert unchanging(shared_site) == before


def test_stranger_sees_a_page_with_the_way_to_log_in(
    api: Server, browser: requests.Session
) -> None:
    page = browser.get(f"{api.url}/api/v1/restore")
    assert page.status_code == 401
    assert "/api-auth/login/" in page.text
    with pytest.raises(AssertionError):
        Forms(page.text).with_input("file")


def test_staff_undo_and_look_back_on_the_pages(api: Server, browser: requests.Session) -> None:
    log_in(browser, api, "ann")
    page = browser.get(f"{api.url}/api/v1/restores")
    assert (page.status_code, page.headers["Content-Type"][:9]) == (200, "text/html")
    assert "&quot;restores&quot;" in page.text

    page = browser.get(f"{api.url}/api/v1/restore/undo?apply=now")
    assert page.status_code == 405, "there is only a button to press"
    values = Forms(page.text).that_posts_to("/api/v1/restore/undo?apply=now")
    form = {"csrfmiddlewaretoken": (None, values["csrfmiddlewaretoken"])}
    answer = browser.post(f"{api.url}/api/v1/restore/undo?apply=now", files=form)
    assert answer.status_code == 404, "there is nothing to undo"
    assert "No restore has been applied yet" in answer.text
    assert browser.post(f"{api.url}/api/v1/restore/undo").status_code == 403, "without the token"
