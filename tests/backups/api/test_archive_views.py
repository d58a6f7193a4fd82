"""Stored snapshots over HTTP, on a real server; in-process where a failure has to be injected."""

import base64
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.hashers import make_password
from django.test import AsyncClient
from pytest_django import Settings
from rest_framework.test import APIClient

from backups.api import job_answers
from backups.api.archive_serializers import MOST_LETTERS
from backups.archive import job_records, jobs, services
from backups.archive.folder_storage import FolderStorage
from backups.archive.jobs import Job
from backups.keys.api_keys import create_key
from backups.services import get_store
from tests.backups.api.test_views import PASSWORD, Forms, log_in
from tests.backups.uploads import NOW, add_tasks
from tests.backups.waiting import until
from tests.site import Server, Site, copy_site

LOST = "20200101-000000"
TRIAL = {"sentence": "restorable, 3 rows in 2 tables, 0.1 seconds", "outcome": "restorable"}


@pytest.fixture(scope="module")
def shared_site(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = copy_site(template_site, tmp_path_factory.mktemp("shared") / "data")
    add_tasks(site.database, "live")
    with closing(sqlite3.connect(site.database)) as connection:
        connection.execute(
            "INSERT INTO auth_user (username, password, is_staff, is_superuser, is_active,"
            " date_joined, first_name, last_name, email) VALUES (?, ?, 1, 0, 1, ?, '', '', '')",
            ("ann", make_password(PASSWORD, hasher="pbkdf2_sha256"), NOW),
        )
        connection.commit()
    return site


@pytest.fixture(scope="module")
def shared(shared_site: Site) -> Iterator[Server]:
    with shared_site.serving() as running:
        running.http.headers["Connection"] = "close"
        yield running


@pytest.fixture(scope="module")
def stored(shared: Server) -> dict[str, Any]:
    """A stored snapshot, of which the server says this."""
    answer = shared.api("POST", "backups", json={"label": "first"})
    assert answer.status_code == 201, answer.text
    backup: dict[str, Any] = answer.json()["backup"]
    assert answer.headers["Location"] == f"/api/v1/backups/{backup['id']}"
    return backup


@pytest.fixture(scope="module")
def file(stored: dict[str, Any], shared_site: Site) -> Path:
    """Its file."""
    return shared_site.data / "tasks.db.backups" / str(stored["name"])


# Store and show


def test_stored_snapshot_is_listed_and_shown(shared: Server, stored: dict[str, Any]) -> None:
    assert (stored["label"], stored["by"], stored["rows"]["tasks"]) == ("first", "tester", 1)
    listed = shared.api("GET", "backups").json()
    assert listed["missing"] == []
    assert listed["backups"][-1].items() <= stored.items()
    for word in (stored["id"], stored["name"]):
        assert shared.api("GET", f"backups/{word}").json() == stored
    latest = shared.api("GET", "backups/latest").json()
    assert latest["id"] == listed["backups"][0]["id"]


@pytest.mark.proof
def test_nothing_new_is_stored_if_nothing_has_changed(
    shared: Server, stored: dict[str, Any]
) -> None:
    answers = [shared.api("POST", "backups") for _ in range(2)]
    assert answers[1].status_code == 200
    assert answers[1].json()["status"] == "unchanged"
    latest = shared.api("GET", "backups/latest").json()
    assert answers[1].json()["backup"]["id"] == latest["id"]


@pytest.mark.parametrize(
    "body", [{"label": 3}, {"label": "x" * (MOST_LETTERS + 1)}, {"label": "a\nb"}, ["label"], 7]
)
def test_label_that_is_none_is_refused(body: Any, shared: Server) -> None:
    answer = shared.api("POST", "backups", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


# Download


def test_download_is_the_file_with_its_digest(
    shared: Server, stored: dict[str, Any], file: Path
) -> None:
    answer = shared.api("GET", f"backups/{stored['id']}/download")
    sha256 = hashlib.sha256(file.read_bytes())
    digest = base64.b64encode(sha256.digest()).decode()
    assert answer.content == file.read_bytes()
    assert answer.headers["ETag"] == f'"{stored["sha256"]}"' == f'"{sha256.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(file.stat().st_size)
    assert answer.headers["Content-Type"] == "application/zstd"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{stored["name"]}"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in answer.headers


def test_head_says_what_a_download_would_have(shared: Server, stored: dict[str, Any]) -> None:
    place = f"backups/{stored['id']}/download"
    head = shared.api("HEAD", place, headers={"Range": "bytes=5-"})
    whole = shared.api("GET", place)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Repr-Digest", "Content-Length", "Content-Type", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("headers", "status", "first", "last"),
    [
        ({"Range": "bytes=10-"}, 206, 10, None),
        ({"Range": "bytes=10-19"}, 206, 10, 19),
        ({"Range": "bytes=0-0"}, 206, 0, 0),
        ({"Range": "bytes=10-", "If-Range": "MINE"}, 206, 10, None),
        ({"Range": "bytes=10-", "If-Range": '"x"'}, 200, 0, None),
        ({"Range": "bytes=999999999-"}, 416, 0, -1),
        ({"If-None-Match": "MINE"}, 304, 0, -1),
        ({"If-Match": '"x"'}, 412, 0, -1),
    ],
)
def test_part_that_is_asked_for_is_sent(
    headers: dict[str, str],
    status: int,
    first: int,
    last: int | None,
    shared: Server,
    stored: dict[str, Any],
    file: Path,
) -> None:
    etag = f'"{stored["sha256"]}"'
    asked = {name: value.replace("MINE", etag) for name, value in headers.items()}
    answer = shared.api("GET", f"backups/{stored['id']}/download", headers=asked)
    assert answer.status_code == status
    if status == 412:
        assert answer.json()["code"] == "not_resumable"
        return
    content = file.read_bytes()
    end = len(content) if last is None else last + 1
    assert answer.content == content[first:end]
    assert answer.headers["ETag"] == etag
    of = {206: f"bytes {first}-{end - 1}/{len(content)}", 416: f"bytes */{len(content)}"}
    assert answer.headers.get("Content-Range") == of.get(status)


def test_download_is_recorded_with_who_and_from_where(
    shared: Server, stored: dict[str, Any]
) -> None:
    shared.api("GET", f"backups/{stored['id']}/download", headers={"Range": "bytes=7-"})

    def newest() -> dict[str, Any]:
        found: dict[str, Any] = shared.api("GET", "restores").json()["downloads"][0]
        return found

    until(lambda: newest()["outcome"] != "begun")  # the client has the last byte before that
    last = newest()
    known = {"by": "tester", "address": "127.0.0.1", "method": "stored", "first": 7}
    assert known.items() <= last.items()
    assert (last["outcome"], last["sent"]) == ("whole", stored["size"] - 7)
    assert last["sha256"] == stored["sha256"]


@pytest.mark.proof
def test_download_changes_nothing_that_would_have_to_be_stored(
    shared: Server, stored: dict[str, Any]
) -> None:
    shared.api("POST", "backups")
    shared.api("GET", "backups/latest/download")
    assert shared.api("POST", "backups").json()["status"] == "unchanged"


@pytest.mark.parametrize("word", [LOST, "x", "%00", "..%2f..%2fetc%2fpasswd", "%2e%2e", "jobs"])
@pytest.mark.parametrize("end", ["", "/download"])
def test_name_of_nothing_is_not_found(word: str, end: str, shared: Server) -> None:
    request = requests.Request("GET", shared.url, headers=dict(shared.http.headers)).prepare()
    request.url = f"{shared.url}/api/v1/backups/{word}{end}"  # as it stands, dots and all
    assert shared.http.send(request).status_code == 404


# In this process


@pytest.fixture
def here(live: Site, settings: Settings) -> APIClient:
    """A client of this very process, whose live database is the site's file."""
    settings.BACKUPS_KEY_FILE = live.data / "api_keys.json"
    return APIClient(headers={"X-Api-Key": live.key})


@pytest.fixture
def one(live: Site) -> Path:
    """The file of a stored snapshot of the live database."""
    return live.data / "tasks.db.backups" / services.store(by="ann").snapshot.name


def refused(answer: Any) -> tuple[int, str]:
    assert not answer.streaming
    return answer.status_code, answer.json()["code"]


def test_storage_that_is_gone_is_told_before_the_first_byte(
    here: APIClient, live: Site, one: Path
) -> None:
    shutil.rmtree(one.parent)
    one.parent.write_text("not a folder")
    for place in ("backups", "backups/latest", "backups/latest/download"):
        assert refused(here.get(f"/api/v1/{place}")) == (503, "storage")


def test_file_that_cannot_be_opened_is_told_before_the_first_byte(
    here: APIClient, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = FolderStorage.read

    def fail(self: FolderStorage, name: str, *ends: Any) -> Iterator[bytes]:
        if name == one.name:
            raise OSError("no answer from the storage")
        return read(self, name, *ends)

    monkeypatch.setattr(FolderStorage, "read", fail)
    answer = here.get("/api/v1/backups/latest/download")
    assert refused(answer) == (503, "storage")
    assert "no answer from the storage" in answer.json()["detail"]


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_file_of_another_length_is_told_before_the_first_byte(
    change: Any, here: APIClient, one: Path
) -> None:
    one.write_bytes(change(one.read_bytes()))
    for ask in (here.get, here.head):
        assert ask("/api/v1/backups/latest/download").status_code == 409
    assert refused(here.get("/api/v1/backups/latest/download")) == (409, "stored_file_changed")


def test_file_that_ends_early_ends_the_answer_with_an_error(
    here: APIClient, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = FolderStorage.read

    def shorten(self: FolderStorage, name: str, *ends: Any) -> Iterator[bytes]:
        for chunk in read(self, name, *ends):
            yield chunk[:100] if name == one.name else chunk

    monkeypatch.setattr(FolderStorage, "read", shorten)
    answer: Any = here.get("/api/v1/backups/latest/download")
    assert answer.status_code == 200
    with pytest.raises(Exception, match=r"bytes of .* are missing"):
        b"".join(answer.streaming_content)
    answer.close()


def test_file_without_a_manifest_is_sent_whole_and_without_a_promise(
    here: APIClient, one: Path
) -> None:
    one.with_name(f"{one.name}.json").unlink()
    answer: Any = here.get("/api/v1/backups/latest/download", headers={"Range": "bytes=5-"})
    assert b"".join(answer.streaming_content) == one.read_bytes()
    assert answer.status_code == 200
    assert answer["Accept-Ranges"] == "none"
    assert "ETag" not in answer.headers
    answer.close()


@pytest.mark.parametrize(("headers", "first"), [({}, 0), ({"Range": "bytes=5-"}, 5)])
def test_download_under_asgi_is_the_same(
    headers: dict[str, str], first: int, here: APIClient, live: Site, one: Path
) -> None:
    async def ask() -> bytes:
        answer: Any = await AsyncClient().get(
            "/api/v1/backups/latest/download", headers=headers | {"X-Api-Key": live.key}
        )
        assert answer.status_code == (206 if first else 200)
        chunks = [chunk async for chunk in answer.streaming_content]
        await sync_to_async(answer.close)()
        return b"".join(chunks)

    assert async_to_sync(ask)() == one.read_bytes()[first:]


# Who may


@pytest.mark.parametrize(
    ("method", "place", "scope"),
    [
        ("get", "backups", "backup"),
        ("post", "backups", "backup"),
        ("get", f"backups/{LOST}", "backup"),
        ("delete", f"backups/{LOST}", "restore"),
        ("get", f"backups/{LOST}/download", "backup"),
        ("head", f"backups/{LOST}/download", "backup"),
        ("post", f"backups/{LOST}/verify", "backup"),
        ("post", f"backups/{LOST}/restore", "restore"),
        ("post", f"backups/{LOST}/restore?apply=now", "restore"),
        ("post", f"backups/{LOST}/hold", "restore"),
        ("delete", f"backups/{LOST}/hold", "restore"),
        ("get", "backups/jobs/1", "backup"),
    ],
)
def test_it_takes_the_scope(
    method: str,
    place: str,
    scope: str,
    live: Site,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def note(work: str, **_: Any) -> Job:
        asked.append(work)
        return job("done")

    monkeypatch.setattr(jobs, "start", note)
    keys, url = live.data / "api_keys.json", f"/api/v1/{place}"
    settings.BACKUPS_KEY_FILE = keys
    assert getattr(APIClient(), method)(url).status_code == 401
    for other in {"backup", "restore", "tasks"} - {scope}:
        key = create_key(keys, name=other, scopes=[other])
        answer = getattr(APIClient(headers={"X-Api-Key": key}), method)(url)
        assert answer.status_code == 403, other
    assert not asked
    key = create_key(keys, name="right", scopes=[scope])
    answer = getattr(APIClient(headers={"X-Api-Key": key}), method)(url)
    assert answer.status_code not in (401, 403)


@pytest.mark.parametrize("work", ["restore", "prepare"])
def test_job_of_a_restore_is_shown_to_whoever_may_restore(
    work: str, live: Site, settings: Settings
) -> None:
    source = get_store()
    job_records.write(source, job("done", work=work))
    keys = settings.BACKUPS_KEY_FILE = live.data / "api_keys.json"
    for scope, status in (("backup", 403), ("restore", 200)):
        key = create_key(keys, name=scope, scopes=[scope])
        answer = APIClient(headers={"X-Api-Key": key}).get("/api/v1/backups/jobs/1")
        assert answer.status_code == status


def test_restore_that_waits_is_shown_with_its_verdict(here: APIClient) -> None:
    verdict = {
        "kind": "upload",
        "name": "mine.db",
        "size": 7,
        "sha256": "ab" * 32,
        "taken_at": "2026-11-26T03:00:00+00:00",
        "migrations": ["tasks.0002_more"],
        "warnings": ["It is old."],
        "rows": [{"table": "tasks", "live": None, "snapshot": 3}],
        "emptied": ["django_session"],
    }
    decision = {"what": "stage", "by": "ben", "at": "2026-11-26T03:01:00+00:00"}
    source = {"kind": "upload", "name": "mine.db"}
    said: dict[str, Any] = {"step": "waiting", "done": 5, "total": 7, "source": source}
    waiting = replace(job("done", work="prepare"), **said, verdict=verdict, decision=decision)
    job_records.write(get_store(), waiting)
    shown = here.get("/api/v1/backups/jobs/1").json()
    assert {name: shown[name] for name in said} == said
    assert shown["verdict"] == {**verdict, "taken_at": "2026-11-26T03:00:00Z"}
    assert shown["decision"] == {**decision, "at": "2026-11-26T03:01:00Z"}


def test_job_that_is_no_restore_has_no_verdict(here: APIClient) -> None:
    job_records.write(get_store(), job("done"))
    shown = here.get("/api/v1/backups/jobs/1").json()
    assert (shown["verdict"], shown["decision"], shown["source"]) == (None, None, {})


# What came of a job


def job(outcome: str, *, work: str = "store", code: str = "", answer: Any = None) -> Job:
    error = {"code": code, "message": "It went wrong.", "hint": "Do this."} if code else None
    if outcome == "done" and answer is None:
        answer = {"status": "stored", "backup": {"id": LOST}}
    return Job("1", work, "ann", "2026-11-26T10:00:00+00:00", None, outcome, answer, error)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("storage", 503),
        ("storage_full", 507),
        ("not_enough_space", 507),
        ("too_many_snapshots", 503),
        ("recipient", 500),
        ("missing_package", 501),
        ("identity", 409),
        ("busy", 409),
        ("not_stored", 404),
        ("needs_restart", 409),
        ("newer_release", 400),
        ("error", 500),
        ("a later release's", 500),
    ],
)
def test_failure_of_a_job_is_answered_as_if_it_had_been_done_here(
    code: str, status: int, here: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = job("failed", code=code)
    monkeypatch.setattr(jobs, "start", lambda work, **_: failed)
    answer = here.post("/api/v1/backups")
    body = answer.json()
    assert answer.status_code == status
    assert (body["detail"], body["hint"]) == ("It went wrong.", "Do this.")
    assert body["code"] == (code if "later" not in code else "error")
    assert ("Retry-After" in answer.headers) == (code == "too_many_snapshots")

    job_records.write(get_store(), failed)
    shown = here.get("/api/v1/backups/jobs/1")
    assert shown.status_code == 200
    assert (shown.json()["status"], shown.json()["error"]["status"]) == ("failed", status)


def test_restore_that_only_a_restart_can_apply_says_what_is_pending(
    here: APIClient, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.stage_snapshot("latest", staged_by="ann")
    failed = job("failed", work="restore", code="needs_restart")
    monkeypatch.setattr(jobs, "start", lambda work, **_: failed)
    answer = here.post("/api/v1/backups/latest/restore?apply=now")
    assert answer.status_code == 409
    assert answer.json()["status"] == "pending"
    assert answer.json()["staged_by"] == "ann"


def test_job_that_was_stopped_is_an_error_that_says_to_look(
    here: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "start", lambda work, **_: job("stopped"))
    answer = here.post("/api/v1/backups")
    assert refused(answer) == (500, "process_failed")
    assert answer.json()["hint"] == job_answers.LOOK_FIRST


@pytest.mark.parametrize("place", ["restore?apply=later", "restore?accept=all"])
def test_parameter_that_is_none_is_refused(place: str, here: APIClient, one: Path) -> None:
    assert refused(here.post(f"/api/v1/backups/latest/{place}")) == (400, "bad_parameter")


def test_too_many_jobs_at_once_are_refused(here: APIClient) -> None:
    source = get_store()
    began = job_records.now()
    for number in range(jobs.MOST_AT_ONCE):
        job_records.write(source, Job(str(number), "store", "ann", began))
    assert refused(here.post("/api/v1/backups")) == (409, "busy")


# Delete and hold


def test_one_that_is_held_is_not_deleted_until_it_is_released(here: APIClient, one: Path) -> None:
    snapshot_id = services.find_snapshot(one.name).id
    services.store(by="ann", label="a newer one")
    place = f"/api/v1/backups/{snapshot_id}"
    held = here.post(f"{place}/hold", {"reason": "an audit"}).json()["hold"]
    assert (held["by"], held["reason"]) == ("tester", "an audit")
    assert refused(here.delete(place)) == (409, "not_deletable")
    assert here.delete(f"{place}/hold").json()["hold"] is None
    answer = here.delete(place).json()
    assert (answer["status"], answer["backup"]["id"]) == ("deleted", snapshot_id)
    assert refused(here.get(place)) == (404, "not_stored")


def test_last_good_one_is_deleted_only_by_force(here: APIClient, one: Path) -> None:
    assert refused(here.delete("/api/v1/backups/latest")) == (409, "not_deletable")
    assert refused(here.delete("/api/v1/backups/latest?force=yes")) == (400, "bad_parameter")
    assert one.exists()
    assert here.delete("/api/v1/backups/latest?force=1").status_code == 200
    assert not one.exists()


# Pages


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.update({"Accept": "text/html", "Connection": "close"})
        yield session


@pytest.mark.proof
def test_staff_store_and_restore_with_the_forms_of_the_pages(
    shared: Server, stored: dict[str, Any], browser: requests.Session
) -> None:
    log_in(browser, shared, "ann")
    page = browser.get(f"{shared.url}/api/v1/backups")
    attributes, fields = Forms(page.text).with_input("label")
    assert attributes["action"] == "/api/v1/backups"
    fields["label"] = "from the page"
    answer = browser.post(page.url, data=fields)
    assert answer.status_code == 201
    assert "from the page" in answer.text

    page = browser.get(f"{shared.url}/api/v1/backups/{stored['id']}")
    assert (page.status_code, stored["name"] in page.text) == (200, True)

    place = f"/api/v1/backups/{stored['id']}/restore"
    page = browser.get(shared.url + place)
    assert page.status_code == 405, "there is only a button to press"
    values = Forms(page.text).that_posts_to(place)
    form = {"csrfmiddlewaretoken": (None, values["csrfmiddlewaretoken"])}
    answer = browser.post(shared.url + place, files=form)
    assert "restart required" in answer.text
    assert browser.post(shared.url + place).status_code == 403, "without the token"
    status = shared.api("DELETE", "restore").json()
    assert (status["status"], status["staged_by"]) == ("discarded", "ann")
