"""What happened, over real receipts: what it says of each thing, for whom, and how it is paged."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from backups import services, signals
from backups.archive import services as archive
from backups.exceptions import BackupError
from backups.sqlite.folder.paths import StorePaths
from tests.backups.page.permissions import Nobody
from tests.backups.page.reading import read, text_of
from tests.backups.uploads import snapshot_of
from tests.site import Site

NOBODY = f"{Nobody.__module__}.{Nobody.__qualname__}"


def rows(page: str) -> list[str]:
    """The words of each row, without the time."""
    found = re.findall(r"<tr>\s*(<td.*?)</tr>", page, re.DOTALL)
    return [text_of(each.partition("</td>")[2]) for each in found]


def write_receipts(live: Site, receipts: list[dict[str, Any]]) -> None:
    """In place of those that there are, oldest first."""
    lines = [json.dumps({"id": str(number)} | each) for number, each in enumerate(receipts)]
    StorePaths.of(live.database).backup_receipts.write_text("".join(f"{each}\n" for each in lines))


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return {"at": at.isoformat(), "what": "stored", "snapshot": f"n{number}"} | changes


def test_nothing_yet_is_said(live: Site, ann_here: Client) -> None:
    assert "Nothing has happened yet." in read(ann_here, "history/")


def test_what_happens_to_stored_snapshots_is_told(
    live: Site, ann_here: Client, settings: Settings
) -> None:
    made = archive.store(by="ops").snapshot
    archive.verify(made.id, by="schedule")
    archive.hold(made.id, by="ann", reason="for the audit")
    archive.release(made.id, by="ann")
    signals.snapshots_pruned.send_robust(None, database=None, ids=("20260101-030000",), by="ops")
    settings.BACKUPS_RECIPIENTS = ["no <key>"]
    with pytest.raises(BackupError):
        archive.store(by="cron")
    page = read(ann_here, "history/")
    told = rows(page)
    assert len(told) == 6
    for words in (
        rf"^Stored It took [\d.,]+ s\. {made.id} [\d.,]+ kB ops$",
        rf"^Verified: it can be restored {made.id} schedule$",
        rf"^Held for the audit {made.id} ann$",
        rf"^Released {made.id} ann$",
        r"^Deleted 20260101-030000 ops$",
        r"^Failed .*no <key>.* — cron$",
    ):
        assert [each for each in told if re.search(words, each)], (words, told)
    assert f'href="/backups/snapshots/{made.id}/"' in page
    assert "/backups/snapshots/20260101-030000/" not in page, "it is gone"
    assert "<key>" not in page


def test_what_happens_to_restores_is_told(live: Site, ann_here: Client, tmp_path: Path) -> None:
    other = snapshot_of(live, tmp_path / "other.db", "other")
    services.hold_presence()
    services.stage_restore([other.read_bytes()], staged_by="boss")
    services.discard_pending_restore(discarded_by="ann")
    services.stage_restore([other.read_bytes()], staged_by="boss")
    services.apply_now(applied_by="ann")
    services.undo_restore(staged_by="ann")
    services.apply_now(applied_by="bob")
    ann_here.force_login(User.objects.get(username="ann"))  # a restore ends all logins
    told = rows(read(ann_here, "history/?kind=restores"))
    for number, words in enumerate(
        (
            r"^Undid a restore Staged by ann\. It is the kept copy \S+\. What was live before is"
            r" kept as \S+\. It took [\d.,]+ m?s\. [\d.,]+ kB bob$",
            r"^Staged to be restored It is the kept copy \S+\. [\d.,]+ kB ann$",
            r"^Restored Staged by boss\. What was live before is kept as \S+\. It took [\d.,]+ s\."
            r" [\d.,]+ kB ann$",
            r"^Staged to be restored [\d.,]+ kB boss$",
            r"^Discarded before it was restored Staged by boss\. [\d.,]+ kB ann$",
            r"^Staged to be restored [\d.,]+ kB boss$",
        )
    ):
        assert re.search(words, told[number]), (words, told[number])
    assert len(told) == 6


def test_restore_of_a_stored_one_is_told_once_with_its_id(live: Site, ann_here: Client) -> None:
    made = archive.store(by="ops").snapshot
    services.hold_presence()
    archive.stage_snapshot(made.id, staged_by="boss")
    services.apply_now(applied_by="boss")
    ann_here.force_login(User.objects.get(username="ann"))  # a restore ends all logins
    told = rows(read(ann_here, "history/?kind=restores"))
    assert [each.split()[0] for each in told] == ["Restored", "Staged"]
    assert all(made.id in each for each in told)


def test_refused_upload_is_told_with_its_reason(live: Site, ann_here: Client) -> None:
    with (
        pytest.raises(BackupError),
        archive.prepare_upload([b"only words\n" * 100], name="a.db", staged_by="boss"),
    ):
        pass
    (told,) = rows(read(ann_here, "history/?kind=restores"))
    assert re.search(r"^Restore refused The file is not a SQLite .* — boss$", told)
    assert rows(read(ann_here, "history/?kind=backups")) == []


def test_downloads_are_told(live: Site, ann_here: Client) -> None:
    ann_here.get("/backups/snapshots/now/").getvalue()
    (told,) = rows(read(ann_here, "history/?kind=downloads"))
    assert re.search(r"^Downloaded The database as it was\. To 127\.0\.0\.1\. .*B ann$", told)


def test_each_sees_what_the_api_would_tell(
    live: Site, ann_here: Client, settings: Settings
) -> None:
    made = archive.store(by="ops").snapshot
    archive.stage_snapshot(made.id, staged_by="boss")
    ann_here.get("/backups/snapshots/now/").getvalue()
    assert len(rows(read(ann_here, "history/"))) == 3
    settings.BACKUPS_RESTORE_PERMISSION = NOBODY
    for path in ("", "?kind=restores", "?kind=downloads"):
        page = read(ann_here, f"history/{path}")
        assert len(rows(page)) == 1
        assert "boss" not in page
        assert "Download" not in page
        assert "?kind=" not in page
    settings.BACKUPS_BACKUP_PERMISSION = NOBODY
    assert ann_here.get("/backups/history/").status_code == 403
    assert Client().get("/backups/history/").status_code == 303


def test_thousands_are_paged(live: Site, ann_here: Client) -> None:
    write_receipts(live, [numbered(number) for number in range(1, 4001)])
    first = read(ann_here, "history/?kind=backups")
    assert len(rows(first)) == 25
    assert rows(first)[0] == "Stored n4000 —"
    assert "1 to 25 of 4,000, the newest first" in text_of(first)
    assert 'href="?kind=backups&amp;page=2"' in first
    assert "Newer" not in first
    second = read(ann_here, "history/?page=2")
    assert rows(second)[0] == "Stored n3975 —"
    assert 'href="?page=3"' in second
    last = read(ann_here, "history/?page=160")
    assert rows(last)[-1] == "Stored n1 —"
    assert "Older" not in last
    for word in ("161", "-1", "last", "%00", "1" * 5000):
        assert len(rows(read(ann_here, f"history/?page={word}"))) == 25
    assert len(rows(read(ann_here, "history/?kind=nonsense"))) == 25


def test_receipts_that_were_changed_by_hand_break_no_page(live: Site, ann_here: Client) -> None:
    hostile: list[dict[str, Any]] = [
        {"at": "yesterday"},
        {"at": None},
        {"at": 3},
        {"size": "large", "seconds": "long"},
        {"size": 10**400, "seconds": float("inf")},
        {"size": -1, "seconds": float("nan")},
        {"what": "<b>danced</b>", "by": 3, "reason": ["a"]},
        {"what": "verified", "outcome": None},
        {"what": ["stored"]},
        {"snapshot": "../../admin"},
        {"snapshot": {"a": 1}},
        {"reason": "<script>alert(1)</script>" * 100},
    ]
    write_receipts(live, [numbered(number, **each) for number, each in enumerate(hostile)])
    page = read(ann_here, "history/")
    assert 7 <= len(rows(page)) <= 9
    assert "<b>danced" not in page
    assert "<script>alert" not in page
