"""Put a snapshot back with the pages: real uploads, real jobs, and what is on the disk."""

import gzip
import os
import re
import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.backups.page.visitor import Visitor, path_of
from tests.backups.uploads import add_tasks, snapshot_of
from tests.backups.waiting import until
from tests.site import Server, Site

CAN_BE_PUT_BACK = "can be put back. Nothing has happened yet."
CAN_BE_UNDONE = "What was live before the last restore can be put back. Nothing has happened yet."


@pytest.fixture
def good(site_with_staff: Site, tmp_path: Path) -> Path:
    """A snapshot of the site with one more task, and with its users."""
    return snapshot_of(site_with_staff, tmp_path / "good.db", "more")


def incoming(site: Site) -> list[str]:
    """What is left of uploads in the folder of the database."""
    return [name for name in site.names() if "incoming" in name]


def decide(visitor: Visitor, page: requests.Response, when: str) -> requests.Response:
    return visitor.send(f"{path_of(page)}decide/", when=when, name="taskdog")


def test_upload_is_checked_and_nothing_has_happened_yet(
    ann: Visitor, site_with_staff: Site, good: Path
) -> None:
    page = ann.upload(good, name="taskdog-backup-20261123-024538.db")
    text = ann.wait_for(page, CAN_BE_PUT_BACK)
    assert "Nov. 23, 2026" in text or "11/23/2026" in text
    assert re.search(
        r">tasks</th>\s*<td[^>]*><data value=\"1\".*\s*<td[^>]*><data value=\"2\"", text
    )
    assert "+<data" in text
    assert not [name for name in site_with_staff.names() if "pending" in name]
    assert len(incoming(site_with_staff)) == 1
    assert site_with_staff.receipts() == []


def test_restore_now_is_live_and_is_undone(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    decide(ann, page, "now")
    until(lambda: served.task_names() == ["live", "more"])
    ann = Visitor(served, "ann")  # a restore ends all logins of this site
    text = until(lambda: said(ann, path_of(page), "Live since"))
    assert "tasks.db.pre-restore-" in text
    assert incoming(site_with_staff) == []

    page = ann.send("restore/undo/")
    ann.wait_for(page, CAN_BE_UNDONE)
    decide(ann, page, "now")
    until(lambda: served.task_names() == ["live"])


@pytest.mark.proof
def test_restore_at_the_next_start_waits_and_tells_its_end(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    decide(ann, page, "start")
    text = ann.wait_for(page, "It waits for a restart.")
    assert "gunicorn" in text
    assert "A restore waits for a restart" in ann.get("restore/").text
    assert served.task_names() == ["live"]
    served.stop()
    with site_with_staff.serving() as again:
        again.http.headers["Connection"] = "close"
        assert again.task_names() == ["live", "more"]
        assert "Live since" in Visitor(again, "ann").get(path_of(page)).text


def test_name_of_the_site_must_be_typed(ann: Visitor, site_with_staff: Site, good: Path) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    answer = ann.send(f"{path_of(page)}decide/", when="now", name="something")
    assert answer.status_code == 400
    assert "type the name of the site: taskdog" in answer.text
    assert 'value="now" required checked' in answer.text, "what was chosen stays chosen"
    assert site_with_staff.receipts() == []
    assert CAN_BE_PUT_BACK in ann.get(path_of(page)).text


@pytest.mark.proof
def test_cancel_leaves_nothing(ann: Visitor, site_with_staff: Site, good: Path) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    ann.send(f"{path_of(page)}decide/", when="cancel")
    ann.wait_for(page, "Cancelled. Nothing has changed.")
    until(lambda: incoming(site_with_staff) == [])
    assert site_with_staff.receipts() == []
    answer = decide(ann, page, "now")
    assert answer.status_code == 409
    assert "This restore has ended." in answer.text
    assert "Cancelled. Nothing has changed." in answer.text


def test_bad_file_is_refused_with_its_reason(
    ann: Visitor, site_with_staff: Site, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("only words\n")
    page = ann.upload(tmp_path / "notes.txt")
    text = ann.wait_for(page, "The file is not a SQLite database")
    assert "Nothing has changed." in text
    assert incoming(site_with_staff) == []


@pytest.mark.proof
def test_packed_upload_is_unpacked(ann: Visitor, good: Path, tmp_path: Path) -> None:
    (packed := tmp_path / "good.db.gz").write_bytes(gzip.compress(good.read_bytes()))
    text = ann.wait_for(ann.upload(packed), CAN_BE_PUT_BACK)
    assert "The upload was unpacked from gzip" in text


@pytest.mark.proof
def test_upload_that_is_too_large_is_refused(site_with_staff: Site, good: Path) -> None:
    site_with_staff.variables["DJANGO_SETTINGS_MODULE"] = "tests.small_uploads_settings"
    with site_with_staff.serving() as server:
        ann = Visitor(server, "ann")
        text = ann.wait_for(ann.upload(good), "larger than the limit of")
        assert "Nothing has changed." in text
        assert incoming(site_with_staff) == []


@pytest.mark.proof
def test_upload_that_breaks_off_leaves_nothing(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    """As if the line broke: the page of the job says so."""
    page = half_upload(ann, served, site_with_staff, good)
    page.close()
    text = until(lambda: said(ann, page.path, "ended before"))
    assert "Nothing has changed." in text
    until(lambda: incoming(site_with_staff) == [])


@pytest.mark.proof
def test_worker_that_is_killed_in_mid_upload_leaves_nothing(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    with closing(half_upload(ann, served, site_with_staff, good)) as page:
        for pid in served.worker_pids():
            os.kill(pid, signal.SIGKILL)
        text = until(lambda: said(ann, page.path, "ended before"))
        assert "Nothing has changed." in text
        until(lambda: incoming(site_with_staff) == [])
    ann.wait_for(ann.upload(good), CAN_BE_PUT_BACK)


@pytest.mark.proof
def test_second_upload_of_a_person_takes_the_place_of_the_first(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    first = ann.upload(good)
    ann.wait_for(first, CAN_BE_PUT_BACK)
    bob = Visitor(served, "bob")
    of_bob = bob.upload(good)
    bob.wait_for(of_bob, CAN_BE_PUT_BACK)
    second = ann.upload(good)
    ann.wait_for(second, CAN_BE_PUT_BACK)
    ann.wait_for(first, "Cancelled. Nothing has changed.")
    assert CAN_BE_PUT_BACK in bob.get(path_of(of_bob)).text
    until(lambda: len(incoming(site_with_staff)) == 2)


@pytest.mark.proof
def test_two_people_decide_about_one(ann: Visitor, served: Server, good: Path) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    bob = Visitor(served, "bob")
    assert decide(bob, page, "start").status_code == 200
    answer = decide(ann, page, "now")
    assert answer.status_code == 409
    until(lambda: served.api("GET", "restore").json().get("staged_by") == "bob")


@pytest.mark.proof
def test_restore_of_another_meanwhile_is_told(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path
) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    with good.open("rb") as content:
        answer = served.api("POST", "restore?apply=now", files={"file": content})
    assert answer.json()["status"] == "applied", answer.text
    again = Visitor(served, "ann")
    assert "Another restore was applied" in again.get(path_of(page)).text


@pytest.mark.proof
def test_stored_snapshot_is_put_back(ann: Visitor, served: Server, site_with_staff: Site) -> None:
    backup = served.api("POST", "backups").json()["backup"]
    served.add_task("later")
    page = ann.send(f"snapshots/{backup['id']}/restore/")
    ann.wait_for(page, CAN_BE_PUT_BACK)
    decide(ann, page, "now")
    until(lambda: served.task_names() == ["live"])


@pytest.mark.proof
def test_newest_verified_one_is_offered(ann: Visitor, served: Server) -> None:
    assert "Choose a snapshot" in ann.get("restore/").text
    backup = served.api("POST", "backups").json()["backup"]
    assert "newest verified one" not in ann.get("restore/").text
    served.api("POST", f"backups/{backup['id']}/verify")
    text = ann.get("restore/").text
    assert f"The newest one that was verified is {backup['id']}." in text
    page = ann.send(f"snapshots/{backup['id']}/restore/")
    ann.wait_for(page, CAN_BE_PUT_BACK)


@pytest.mark.proof
def test_pending_restore_is_discarded(ann: Visitor, served: Server, good: Path) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    decide(ann, page, "start")
    ann.wait_for(page, "It waits for a restart.")
    answer = ann.send("restore/discard/")
    assert path_of(answer) == path_of(page)
    assert "Discarded by ann" in answer.text
    assert served.api("GET", "restore").json()["status"] == "nothing"


@pytest.mark.proof
def test_start_applies_what_is_pending_while_another_waits_for_a_decision(
    ann: Visitor, served: Server, site_with_staff: Site, good: Path, tmp_path: Path
) -> None:
    """The job that waits is no user of the database: it must not block the start."""
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    site_with_staff.stage(snapshot_of(site_with_staff, tmp_path / "other.db", "other"))
    served.process.terminate()  # not stop(): the job that waits holds the server's log open
    served.process.wait()
    with site_with_staff.serving() as again:
        again.http.headers["Connection"] = "close"
        assert again.task_names() == ["live", "other"]
        again_ann = Visitor(again, "ann")
        decide(again_ann, page, "now")
        until(lambda: again.task_names() == ["live", "more"])


def test_form_of_another_site_is_refused(ann: Visitor, good: Path) -> None:
    page = ann.upload(good)
    ann.wait_for(page, CAN_BE_PUT_BACK)
    ann.http.headers["Origin"] = "https://elsewhere.example"
    assert decide(ann, page, "now").status_code == 403
    del ann.http.headers["Origin"]
    answer = ann.http.post(f"{page.url}decide/", data={"when": "now", "name": "taskdog"})
    assert answer.status_code == 403


@pytest.mark.proof
def test_who_is_no_staff_may_nothing(served: Server, good: Path) -> None:
    carl = Visitor(served, "carl")
    assert carl.get("restore/").status_code == 403
    stranger = Visitor(served)
    assert "/api-auth/login/" in stranger.get("restore/").url


def said(visitor: Visitor, path: str, words: str) -> str | None:
    """The text of a page, if it says this now."""
    return text if words in (text := visitor.get(path).text) else None


class HalfUpload:
    """An upload that stops in the middle."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._connection, self.path = connection, path

    def close(self) -> None:
        self._connection.close()


def half_upload(visitor: Visitor, server: Server, site: Site, file: Path) -> HalfUpload:
    """Send the first half of a file, and wait until the job has some of it."""
    add_tasks(file, *(f"task {number}" for number in range(20_000)))
    page = visitor.get("restore/").text
    (job,) = re.findall(r'action="/backups/restore/upload/([^"]+)/"', page)
    request = requests.Request(
        "POST",
        f"{server.url}/backups/restore/upload/{job}/",
        data={"csrfmiddlewaretoken": re.findall(r'csrfmiddlewaretoken" value="(\w+)"', page)[0]},
        files={"file": ("half.db", file.read_bytes())},
    )
    prepared = visitor.http.prepare_request(request)
    assert isinstance(prepared.body, bytes)
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = f"POST {prepared.path_url} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
    connection.sendall(head.encode() + b"\r\n" + prepared.body[: len(prepared.body) // 2])
    until(lambda: incoming(site))
    return HalfUpload(connection, f"restore/{job}/")
