"""The list of stored snapshots, the page of one, and what can be done with it, in this process."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.api.archive_serializers import MOST_LETTERS
from backups.archive import job_records, jobs, services
from backups.archive.in_use import in_use
from backups.archive.jobs import Job
from backups.archive.manifest import Media
from backups.archive.storage import StoredFiles
from backups.archive.storing import get_catalog
from backups.exceptions import StorageError
from backups.page.snapshots import MOST_MISSING, ON_A_PAGE
from backups.services import get_store
from tests.backups.archive.entries import HELD, found, put
from tests.site import Site

PAGE = "/backups/snapshots/"
OLD, LOST = "20260102-030405", "20260101-030405"
LONG = "x" * MOST_LETTERS
MARKUP = "<script>alert(1)</script>"


class Nobody(BasePermission):
    """Lets nobody do it."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return False


@pytest.fixture
def folder(live: Site) -> Path:
    """Where the snapshots of the live database are stored."""
    return live.data / "tasks.db.backups"


@pytest.fixture
def ann(folder: Path) -> Client:
    """Ann is staff, and logged in."""
    return logged_in("ann")


def logged_in(name: str, *, is_staff: bool = True, checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(User.objects.create_user(name, is_staff=is_staff))
    return client


@pytest.fixture
def only_backs_up(settings: Settings, ann: Client) -> Client:
    settings.BACKUPS_RESTORE_PERMISSION = f"{__name__}.Nobody"
    return ann


@pytest.fixture
def only_restores(settings: Settings, ann: Client) -> Client:
    settings.BACKUPS_BACKUP_PERMISSION = f"{__name__}.Nobody"
    return ann


@pytest.fixture
def two(ann: Client) -> tuple[str, str]:
    """The ids of two stored snapshots, the newer one first. The newer one is the last good one."""
    older = services.store(by="ann", label="first").snapshot.id
    return services.store(by="schedule", schedule="0 3 * * *", label="b").snapshot.id, older


def text(answer: Any, status: int = 200) -> str:
    """What a page says, without markup."""
    assert answer.status_code == status, answer.content
    words = re.sub(r"<[^>]*>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", words)


def found_in(answer: Any, pattern: str) -> list[Any]:
    return re.findall(pattern, answer.content.decode())


def leads_to(answer: HttpResponse | Any) -> str:
    assert answer.status_code == 303, answer.content
    return str(answer["Location"])


# The list


def test_nothing_is_stored_yet(ann: Client, folder: Path) -> None:
    words = text(ann.get(PAGE))
    assert f"Nothing is stored in the folder {folder} yet." in words
    assert "Back up now" in words
    assert "Download a snapshot" in words


def test_list_shows_what_is_known_of_each(ann: Client, two: tuple[str, str]) -> None:
    catalog = get_catalog()
    put(catalog, OLD, by="bert", label=LONG, hold=HELD, verification=found("damaged"))
    page = ann.get(PAGE)
    words = text(page)
    places = [words.index(each) for each in (two[0], two[1], LONG)]
    assert places == sorted(places)
    assert "first" in words
    assert "Schedule 0 3 * * *" in words
    assert "Damaged" in words
    assert "Held by alice: for the audit" in words
    assert "Not verified" in words
    assert "3 snapshots in" in words
    assert f'action="/backups/snapshots/{two[0]}/restore/"' in page.content.decode()


def test_words_of_others_are_no_markup(ann: Client) -> None:
    put(get_catalog(), OLD, by=MARKUP, label=MARKUP)
    for place in (PAGE, f"{PAGE}{OLD}/", f"{PAGE}{OLD}/delete/"):
        assert MARKUP not in ann.get(place).content.decode()


def test_problems_and_missing_files_alarm(ann: Client, folder: Path) -> None:
    catalog = get_catalog()
    changed, bare = put(catalog, OLD), put(catalog, "20260103-030405")
    (folder / changed.name).write_bytes(b"short")
    (folder / f"{bare.name}.json").unlink()
    lost = [put(catalog, f"20260101-0304{number:02}") for number in range(MOST_MISSING + 2)]
    for each in lost:
        (folder / each.name).unlink()
    page = ann.get(PAGE)
    words = text(page)
    assert "Size changed It has 5 bytes, and had 17 when it was stored." in words
    assert "No manifest It has no manifest" in words
    assert page.content.decode().count('class="alarm"') == 2
    assert f"{len(lost)} stored snapshots are missing" in words
    assert words.count(".db.zst") == MOST_MISSING
    assert "and 2 more" in words


def test_pages_read_only_what_they_show(ann: Client) -> None:
    catalog = get_catalog()
    known = [f"20260102-03{number // 60:02}{number % 60:02}" for number in range(60)]
    for each in known:
        put(catalog, each)
    with mock.patch.object(
        StoredFiles, "chunks", autospec=True, side_effect=StoredFiles.chunks
    ) as reads:
        pages = [ann.get(PAGE, {"page": number}) for number in (1, 2, 3, 4)]
    shown = [found_in(page, r'scope="row"><a href="/backups/snapshots/([^/]+)/') for page in pages]
    newest_first = known[::-1]
    assert shown[0] + shown[1] + shown[2] == newest_first
    assert shown[3] == shown[2], "beyond the last page is the last page"
    assert reads.call_count == 2 * ON_A_PAGE + 2 * 10
    assert "26 to 50 of 60" in text(pages[1])
    links = [found_in(page, r'rel="(\w+)" href="\?page=(\d+)"') for page in pages]
    assert links == [
        [("next", "2")],
        [("prev", "1"), ("next", "3")],
        [("prev", "2")],
        [("prev", "2")],
    ]


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "٣", "9" * 30, ""])
def test_page_that_is_none_is_refused(number: str, ann: Client) -> None:
    assert "page must be a whole number" in text(ann.get(PAGE, {"page": number}), 400)


def test_list_without_the_storage_says_why_and_what_is_remembered(
    ann: Client, folder: Path, two: tuple[str, str]
) -> None:
    services.verify(two[0], by="ann")
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    words = text(ann.get(PAGE))
    assert "its files could not be listed" in words
    assert "Check the storage that STORAGES" in words
    assert words.count(two[0]) == 2, "last stored, and last verified"
    assert "Back up now" in words
    assert "nothing yet" not in words
    assert "Nothing is stored" not in words
    for place in (f"{PAGE}{two[0]}/", f"{PAGE}{two[0]}/delete/", f"{PAGE}{two[0]}/download/"):
        answer = ann.get(place)
        assert "its files could not be listed" in text(answer, 503)
        assert f'href="{PAGE}"' in answer.content.decode()


def test_jobs_under_way_are_linked(ann: Client) -> None:
    there = [remember(work) for work in ("store", "verify", "run-due")]
    remember("prepare")
    page = ann.get(PAGE)
    assert "A verification by bert" in text(page)
    assert found_in(page, 'href="(/backups/jobs/[^"]+)"') == there[::-1]


# One


def test_page_of_one_says_all_that_its_manifest_says(ann: Client, two: tuple[str, str]) -> None:
    services.verify(two[0], by="ann")
    stored = services.find_snapshot(two[0])
    manifest = stored.manifest
    assert manifest is not None
    words = text(ann.get(f"{PAGE}{two[0]}/"))
    for each in (
        stored.name,
        manifest.sha256,
        manifest.database_sha256,
        manifest.release,
        manifest.site,
        "0 3 * * *",
        "pages",
        "schedule",
        *(f"{name} {version}" for name, version in manifest.software.items()),
        *manifest.migrations,
        *manifest.rows,
        f"{len(manifest.migrations)} migrations",
        "✓ Verified",
        f"zstd -d {stored.name}",
    ):
        assert each in words, each
    assert "age -d" not in words


def test_encrypted_one_says_how_it_is_unpacked(ann: Client) -> None:
    catalog = get_catalog()
    name = f"{catalog.prefix}{OLD}.db.zst.age"
    stored = put(catalog, OLD, recipients=("age1abc",), media=Media("", 3, 5, warnings=("gone",)))
    assert stored.manifest is not None
    catalog.files.create(name, [b"x"])
    catalog.delete(stored.name)
    catalog.write(replace(stored.manifest, name=name, size=1))
    page = ann.get(f"{PAGE}{OLD}/").content.decode()
    assert f"age -d -i KEY {name} &gt; {stored.name}\nzstd -d {stored.name}" in page
    assert "age1abc" in page
    assert "gone" in page


def test_page_of_one_without_a_manifest(ann: Client, folder: Path) -> None:
    stored = put(get_catalog(), OLD)
    (folder / f"{stored.name}.json").unlink()
    assert "nothing is known of it" in text(ann.get(f"{PAGE}{OLD}/"))


def test_lost_one_has_a_page_from_where_its_rest_is_deleted(ann: Client, folder: Path) -> None:
    lost = put(get_catalog(), LOST, label="the lost one")
    put(get_catalog(), OLD)
    (folder / lost.name).unlink()
    page = ann.get(f"{PAGE}{LOST}/")
    assert "only its manifest is left" in text(page)
    assert "the lost one" in text(page)
    assert "/download/" not in page.content.decode()
    assert 'id="hold"' not in page.content.decode()
    asked = text(ann.get(f"{PAGE}{LOST}/delete/"))
    assert "Its file is missing" in asked
    assert "Size changed" not in asked
    assert leads_to(ann.post(f"{PAGE}{LOST}/delete/")) == f"{PAGE}?deleted={LOST}"
    assert services.list_missing() == []


def test_one_that_is_not_there_leads_back(ann: Client) -> None:
    for place in ("", "delete/", "download/"):
        answer = ann.get(f"{PAGE}{OLD}/{place}")
        assert "Nothing is stored in" in text(answer, 404)
        assert f'class="button" href="{PAGE}"' in answer.content.decode()


# Jobs


def remember(work: str, **fields: Any) -> str:
    """Let there be a job; returns the address of its page."""
    job = Job(str(uuid4()), work, "bert", job_records.now(), **fields)
    with get_store().remember() as state:
        job_records.add(state, job)
    return f"/backups/jobs/{job.id}/"


def test_job_of_a_restore_is_for_those_who_may_restore(ann: Client, settings: Settings) -> None:
    there = remember("restore", outcome="done", answer={"status": "pending"})
    assert "See what is pending" in text(ann.get(there))
    prepared = remember("prepare")
    assert leads_to(ann.get(prepared)) == prepared.replace("/jobs/", "/restore/")
    settings.BACKUPS_RESTORE_PERMISSION = f"{__name__}.Nobody"
    assert ann.get(there).status_code == 403


@pytest.mark.parametrize(
    ("what", "sign"), [("done", "good"), ("failed", "bad"), ("nothing due", "good")]
)
def test_job_of_the_schedule_says_what_came_of_it(what: str, sign: str, ann: Client) -> None:
    answer = {"what": what, "words": "What there is to say.", "snapshot_id": None}
    page = ann.get(remember("run-due", outcome="done", answer=answer))
    assert "What there is to say." in text(page)
    assert f'class="note {sign}"' in page.content.decode()


def test_job_that_failed_says_why_and_what_to_do(ann: Client) -> None:
    error = {"code": "busy", "message": "Another is at it.", "hint": "Wait for its end."}
    there = remember("verify", outcome="failed", error=error, source={"kind": "stored", "id": OLD})
    words = text(ann.get(there))
    assert "It could not be verified: Another is at it." in words
    assert "Wait for its end." in words
    assert "Verify again" in words


def test_too_many_jobs_are_refused_with_a_way_back(ann: Client) -> None:
    for _ in range(jobs.MOST_AT_ONCE):
        remember("store")
    answer = ann.post(f"{PAGE}store/")
    assert "no more may run at once" in text(answer, 409)
    assert f'class="button" href="{PAGE}"' in answer.content.decode()


# Hold and release


def test_one_is_held_with_a_reason_and_released(ann: Client, two: tuple[str, str]) -> None:
    place = f"{PAGE}{two[1]}/"
    assert leads_to(ann.post(f"{place}hold/", {"reason": " for the audit "})) == place
    assert "Held by ann" in text(ann.get(place))
    assert "for the audit" in text(ann.get(place))
    assert "Held by ann: for the audit" in text(ann.get(PAGE))
    words = text(ann.get(f"{place}delete/"))
    assert "It is held by ann, so it can't be deleted." in words
    refused = text(ann.post(f"{place}delete/"), 409)
    assert f"{two[1]} is held by ann (for the audit)." in refused
    assert 'name="force"' not in refused
    assert leads_to(ann.post(f"{place}release/")) == place
    assert "Held" not in text(ann.get(place))


@pytest.mark.parametrize("reason", [LONG + "x", "two\nlines"])
def test_reason_that_is_none_is_refused(reason: str, ann: Client, two: tuple[str, str]) -> None:
    answer = ann.post(f"{PAGE}{two[0]}/hold/", {"reason": reason})
    assert "reason must be a text of at most" in text(answer, 400)
    assert services.find_snapshot(two[0]).hold is None


def test_one_in_use_is_neither_held_nor_deleted_and_nobody_waits(
    ann: Client, two: tuple[str, str]
) -> None:
    with in_use(services.find_snapshot(two[1])):
        for action in ("hold", "release", "delete"):
            answer = ann.post(f"{PAGE}{two[1]}/{action}/")
            assert f"{two[1]} is being restored or verified." in text(answer, 409)
            assert "Wait until that has ended" in text(answer, 409)
            assert 'name="force"' not in answer.content.decode()
    assert services.find_snapshot(two[1]).hold is None


def test_manifest_that_can_not_be_replaced_is_told(ann: Client, two: tuple[str, str]) -> None:
    with mock.patch.object(StoredFiles, "replace", side_effect=StorageError("it is locked")):
        answer = ann.post(f"{PAGE}{two[0]}/hold/")
    assert "could not be held: it is locked" in text(answer, 503)


# Delete


def test_delete_asks_and_then_deletes(ann: Client, two: tuple[str, str], folder: Path) -> None:
    asked = text(ann.get(f"{PAGE}{two[1]}/delete/"))
    assert "What would be lost" in asked
    assert "first" in asked
    assert len(list(folder.glob("*.zst"))) == 2, "to ask changes nothing"
    there = leads_to(ann.post(f"{PAGE}{two[1]}/delete/"))
    assert f"{two[1]} is deleted." in text(ann.get(there))
    assert [each.id for each in services.list_snapshots()] == [two[0]]
    assert services.list_missing() == []
    assert services.list_receipts()[0].by == "ann"


def test_list_says_of_nothing_that_it_is_deleted_that_is_not(
    ann: Client, two: tuple[str, str]
) -> None:
    for word in (two[0], OLD, MARKUP):
        assert "is deleted." not in text(ann.get(PAGE, {"deleted": word}))


def test_last_good_one_is_deleted_only_by_who_ticks_that(ann: Client, two: tuple[str, str]) -> None:
    services.verify(two[0], by="ann")
    place = f"{PAGE}{two[0]}/delete/"
    assert "a restore would use it today" in text(ann.get(place))
    assert 'name="force"' not in ann.get(place).content.decode()
    refused = ann.post(place)
    assert f"{two[0]} is the last good one" in text(refused, 409)
    assert "--force" not in text(refused, 409)
    assert 'name="force" value="yes" required' in refused.content.decode()
    assert "force is" in text(ann.post(place, {"force": "1"}), 400)
    assert services.find_snapshot(two[0])
    leads_to(ann.post(place, {"force": "yes"}))
    assert [each.id for each in services.list_snapshots()] == [two[1]]


def test_force_deletes_none_that_is_held(ann: Client, two: tuple[str, str]) -> None:
    services.hold(two[0], by="bert", reason="mine")
    answer = ann.post(f"{PAGE}{two[0]}/delete/", {"force": "yes"})
    assert "is held by bert (mine)" in text(answer, 409)


def test_two_delete_the_same_one(ann: Client, two: tuple[str, str]) -> None:
    ben = logged_in("ben")
    place = f"{PAGE}{two[1]}/"
    for each in (ann, ben):
        assert "Delete" in text(each.get(f"{place}delete/"))
    leads_to(ann.post(f"{place}delete/"))
    for action in ("delete", "hold", "release", "verify"):
        answer = ben.post(f"{place}{action}/")
        assert f"There is no stored snapshot &#x27;{two[1]}&#x27;" in text(answer, 404)
        assert f'class="button" href="{PAGE}"' in answer.content.decode()
    assert jobs.list_jobs() == [], "nothing was begun"


def test_one_that_was_held_after_the_question_stays(ann: Client, two: tuple[str, str]) -> None:
    text(ann.get(f"{PAGE}{two[1]}/delete/"))
    services.hold(two[1], by="ben", reason="I need it")
    assert "is held by ben (I need it)" in text(ann.post(f"{PAGE}{two[1]}/delete/"), 409)


# Download


def test_downloads_are_those_of_the_api(ann: Client, two: tuple[str, str], folder: Path) -> None:
    stored = services.find_snapshot(two[0])
    answer: Any = ann.get(f"{PAGE}{two[0]}/download/")
    assert b"".join(answer.streaming_content) == (folder / stored.name).read_bytes()
    assert answer["Content-Disposition"] == f'attachment; filename="{stored.name}"'
    now: Any = ann.get(f"{PAGE}now/")
    content = b"".join(now.streaming_content)
    assert content.startswith(b"SQLite format 3\0")
    assert "attachment" in now["Content-Disposition"]


# Who may


ACTIONS = ("store", "verify", "hold", "release", "delete", "restore")


def _place(action: str, snapshot_id: str) -> str:
    return f"{PAGE}store/" if action == "store" else f"{PAGE}{snapshot_id}/{action}/"


def test_who_may_only_back_up_sees_and_may_no_more(
    only_backs_up: Client, two: tuple[str, str]
) -> None:
    for place in (PAGE, f"{PAGE}{two[0]}/"):
        page = only_backs_up.get(place).content.decode()
        offered = set(re.findall(r"(verify|download|hold|release|delete|restore)/\"", page))
        assert offered == {"verify", "download"}
    for action in ("hold", "release", "delete", "restore"):
        assert only_backs_up.post(_place(action, two[0])).status_code == 403
    assert only_backs_up.get(f"{PAGE}{two[0]}/delete/").status_code == 403
    assert services.find_snapshot(two[0]).hold is None


def test_who_may_only_restore_sees_and_may_no_more(
    only_restores: Client, two: tuple[str, str]
) -> None:
    page = only_restores.get(PAGE).content.decode()
    assert "Back up now" not in page
    for place in (PAGE, f"{PAGE}{two[0]}/"):
        page = only_restores.get(place).content.decode()
        offered = set(re.findall(r"(verify|download|hold|delete)/\"|(restore)/\">", page))
        assert {a or b for a, b in offered} <= {"hold", "delete", "restore"}
    for action in ("store", "verify"):
        assert only_restores.post(_place(action, two[0])).status_code == 403
    for action in ("download", ""):
        place = f"{PAGE}{two[0]}/download/" if action else f"{PAGE}now/"
        assert only_restores.get(place).status_code == 403
    assert jobs.list_jobs() == []


def test_strangers_and_people_who_are_no_staff_get_nothing(
    live: Site, two: tuple[str, str]
) -> None:
    bob = logged_in("bob", is_staff=False)
    for action in ACTIONS:
        assert bob.post(_place(action, two[0])).status_code == 403
        assert "login" in leads_to(Client().post(_place(action, two[0])))
    for place in (PAGE, f"{PAGE}{two[0]}/", f"{PAGE}{two[0]}/download/", f"{PAGE}now/"):
        assert bob.get(place).status_code == 403
        assert "login" in leads_to(Client().get(place))
    assert jobs.list_jobs() == []


def test_posts_of_other_sites_are_refused(two: tuple[str, str]) -> None:
    eve = logged_in("eve", checks=True)
    token = eve.get(PAGE).cookies["csrftoken"].value
    for action in ACTIONS:
        place = _place(action, two[0])
        assert eve.post(place).status_code == 403
        from_elsewhere = eve.post(
            place, {"csrfmiddlewaretoken": token}, headers={"Origin": "https://evil.example"}
        )
        assert from_elsewhere.status_code == 403
    assert len(services.list_snapshots()) == 2
    assert jobs.list_jobs() == []
    place = f"{PAGE}{two[1]}/hold/"
    assert leads_to(eve.post(place, {"csrfmiddlewaretoken": token}))


@pytest.mark.parametrize("action", ACTIONS)
def test_to_look_changes_nothing(action: str, ann: Client, two: tuple[str, str]) -> None:
    assert ann.get(_place(action, two[0])).status_code == (200 if action == "delete" else 405)
    assert len(services.list_snapshots()) == 2
    assert jobs.list_jobs() == []
