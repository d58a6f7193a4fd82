"""Back up and verify from the pages: real jobs on a real server, and how their page shows them."""

import os
import re
import signal
from collections.abc import Iterator

import pytest
import requests

from tests.backups.archive.prepared_jobs import process_of
from tests.backups.page.visitor import Visitor, path_of
from tests.backups.waiting import until
from tests.gated_storage import GATE, REACHED
from tests.site import Server, Site

RUNS = 'hx-trigger="every 1s"'
REFRESH = '<noscript><meta http-equiv="refresh"'


@pytest.fixture
def gated(site_with_staff: Site) -> Iterator[Server]:
    """The site, with a storage that waits in the middle of a file."""
    with site_with_staff.serving(DJANGO_SETTINGS_MODULE="tests.gated_settings") as running:
        running.http.headers["Connection"] = "close"
        try:
            yield running
        finally:
            (site_with_staff.data / GATE).unlink(missing_ok=True)


def store(visitor: Visitor, label: str = "") -> requests.Response:
    return visitor.send("snapshots/store/", at="snapshots/", label=label)


def job_of(page: requests.Response) -> str:
    """The id of the job that a page is about."""
    (found,) = re.findall(r"jobs/([0-9a-f-]{36})/", path_of(page))
    return str(found)


def snapshot_in(text: str) -> str:
    """The id of the snapshot that a page leads to."""
    return str(re.findall(r'href="/backups/snapshots/(\d{8}-\d{6}(?:-\d+)?)/"', text)[0])


def test_backup_is_stored_then_unchanged_and_verified(ann: Visitor, site_with_staff: Site) -> None:
    page = store(ann)
    text = ann.wait_for(page, "Stored:")
    assert RUNS not in text
    assert REFRESH not in text
    first = snapshot_in(text)
    assert first in ann.get("snapshots/").text

    text = ann.wait_for(store(ann), "Nothing has changed since")
    assert snapshot_in(text) == first

    text = ann.wait_for(store(ann, "by hand"), "Stored:")
    second = snapshot_in(text)
    assert second != first
    assert "by hand" in ann.get(f"snapshots/{second}/").text

    page = ann.send(f"snapshots/{second}/verify/", at="snapshots/")
    assert f'<span class="soft">{second}</span>' in page.text
    text = ann.wait_for(page, "It can be restored.")
    assert snapshot_in(text) == second
    assert "✓ Verified" in ann.get(f"snapshots/{second}/").text


@pytest.mark.proof
def test_verification_of_a_damaged_one_says_why(ann: Visitor, site_with_staff: Site) -> None:
    snapshot_id = snapshot_in(ann.wait_for(store(ann), "Stored:"))
    (file,) = (site_with_staff.data / "tasks.db.backups").glob(f"*-{snapshot_id}.db.zst")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    text = ann.wait_for(
        ann.send(f"snapshots/{snapshot_id}/verify/", at="snapshots/"), "It is damaged"
    )
    assert 'class="note bad"' in text
    assert "Damaged" in ann.get("snapshots/").text


@pytest.mark.proof
def test_failure_says_what_to_do(ann: Visitor, site_with_staff: Site) -> None:
    folder = site_with_staff.data / "tasks.db.backups"
    folder.write_text("not a folder")
    text = ann.wait_for(store(ann), "It has failed:")
    assert "Check the storage that STORAGES" in text
    assert "Try again" in text
    assert RUNS not in text


@pytest.mark.proof
def test_progress_is_shown_by_any_page_until_its_end(gated: Server, site_with_staff: Site) -> None:
    gate = site_with_staff.data / GATE
    gate.touch()
    ann, ben = Visitor(gated, "ann"), Visitor(gated, "bob")
    page = store(ann)
    until((site_with_staff.data / REACHED).exists)
    text = ben.get(path_of(page)).text
    size = site_with_staff.database.stat().st_size
    assert "Storing a snapshot of the database" in text
    assert re.search(rf'<progress [^>]*max="{size}" value="\d+">', text), text
    assert re.search(r"<data [^>]*>[\d.]+ \w+</data> of <data ", text)
    assert RUNS in text
    assert REFRESH in text
    assert "Begun by ann" in text
    assert "A backup by ann" in ben.get("snapshots/").text
    gate.unlink()
    ben.wait_for(page, "Stored:")
    assert "A backup by ann" not in ben.get("snapshots/").text


@pytest.mark.proof
def test_process_that_is_killed_is_told(gated: Server, site_with_staff: Site) -> None:
    (site_with_staff.data / GATE).touch()
    ann = Visitor(gated, "ann")
    page = store(ann)
    until((site_with_staff.data / REACHED).exists)
    os.kill(process_of(job_of(page)), signal.SIGKILL)
    text = ann.wait_for(page, "was stopped from outside")
    assert "Try again" in text
    assert RUNS not in text


@pytest.mark.proof
def test_two_people_back_up_at_once(ann: Visitor, served: Server, site_with_staff: Site) -> None:
    ben = Visitor(served, "bob")
    pages = [store(ann, "mine"), store(ben, "his")]
    ids = {snapshot_in(ann.wait_for(page, "Stored:")) for page in pages}
    assert len(ids) == 2
    text = ann.get("snapshots/").text
    assert "mine" in text
    assert "his" in text


def test_job_that_is_unknown_leads_back(ann: Visitor) -> None:
    answer = ann.get("jobs/nothing/")
    assert answer.status_code == 404
    assert 'href="/backups/snapshots/">Back to the snapshots</a>' in answer.text


@pytest.mark.proof
def test_backup_after_which_the_last_one_is_gone_is_an_alarm(
    ann: Visitor, served: Server, site_with_staff: Site
) -> None:
    """As of a disk that is not mounted any more: the folder is made anew, and is empty."""
    made = served.api("POST", "backups").json()["backup"]
    (folder,) = site_with_staff.data.glob("*backups")
    folder.rename(site_with_staff.data / "away")
    served.add_task("another")
    page = ann.send("snapshots/store/", at="snapshots/")
    text = ann.wait_for(page, "is stored, but")
    assert f"has no trace of {made['id']} any more" in text
    assert "the last backup failed" in ann.get("").text
