"""What happened to stored snapshots, as ``manage.py backups log`` shows it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from backups import signals
from backups.archive import services
from backups.archive.receipts import ArchiveReceipt, list_receipts
from backups.exceptions import BackupError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records import backup_receipts
from tests.site import Site

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture
def paths(live: Site) -> StorePaths:
    return StorePaths.of(live.database)


def test_each_thing_that_happens_has_a_receipt(
    live: Site, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = services.store(by="ops").snapshot
    services.verify(stored.id, by="schedule")
    services.stage_snapshot(stored.id, staged_by="boss")
    signals.snapshots_pruned.send_robust(None, database=None, ids=("20260101-030000",), by="ops")
    settings.BACKUPS_RECIPIENTS = ["no key"]
    with pytest.raises(BackupError) as failed:
        services.store(by="cron")
    assert services.read_state().verified_id == stored.id, "also one that a person has tried"
    failing, deleted, staged, verified, stored_ = list_receipts()
    assert (stored_.what, stored_.snapshot, stored_.by) == ("stored", stored.id, "ops")
    assert stored.manifest is not None
    assert (stored_.size, stored_.seconds) == (stored.size, stored.manifest.seconds)
    assert (verified.what, verified.outcome, verified.by) == ("verified", "restorable", "schedule")
    assert (staged.what, staged.snapshot, staged.by) == ("staged", stored.id, "boss")
    assert (deleted.what, deleted.snapshot, deleted.by) == ("deleted", "20260101-030000", "ops")
    assert (failing.what, failing.by, failing.reason) == ("failed", "cron", str(failed.value))
    capsys.readouterr()
    call_command("backups", "log", "--limit", "2")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"{failing.at}  failed    -                by cron: {failed.value}"
    assert lines[1] == f"{deleted.at}  deleted   20260101-030000  by ops"
    call_command("backups", "log", "--json")
    assert len({each["id"] for each in json.loads(capsys.readouterr().out)}) == 5


def test_hold_and_release_have_receipts(capsys: pytest.CaptureFixture[str]) -> None:
    stored = services.store(by="ops").snapshot
    services.hold(stored.id, by="ann", reason="an audit")
    services.release(stored.id, by="ben")
    released, held, _ = list_receipts()
    assert (held.what, held.snapshot, held.by) == ("held", stored.id, "ann")
    assert held.reason == "an audit"
    assert (released.what, released.snapshot, released.by) == ("released", stored.id, "ben")
    call_command("backups", "log", "--limit", "2")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{released.at}  released  {stored.id}  by ben"
    assert lines[1] == f"{held.at}  held      {stored.id}  by ann: an audit"


def test_nothing_yet_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("backups", "log")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Nothing has happened to stored snapshots yet.\n")


def test_space_is_bounded_and_the_newest_stay(
    paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_receipts, "MOST_BYTES", 2_000)
    for number in range(100):
        ids = (f"{number}",)
        signals.snapshots_pruned.send_robust(None, database=None, ids=ids, by="ops")
    names = {path.name for path in paths.folder.iterdir() if "backup-receipts" in path.name}
    assert names == {"tasks.db.backup-receipts.jsonl", "tasks.db.backup-receipts.jsonl.1"}
    sizes = [path.stat().st_size for path in (paths.backup_receipts, paths.earlier_backup_receipts)]
    assert max(sizes) <= 2_000
    known = [int(each.snapshot or "") for each in list_receipts()]
    assert known == list(range(99, 99 - len(known), -1))
    assert len(known) > 10


@pytest.mark.parametrize("torn", [b'{"id": "x", "at": ', b"[]\n", b'{"what": "stored"}\n'])
def test_a_line_that_is_none_hides_no_other(torn: bytes, paths: StorePaths) -> None:
    paths.backup_receipts.write_bytes(torn)
    signals.snapshots_pruned.send_robust(None, database=None, ids=("1",), by=None)
    (receipt,) = list_receipts()
    assert isinstance(receipt, ArchiveReceipt)
    assert receipt.snapshot == "1"


def test_a_folder_that_refuses_fails_no_backup(
    paths: StorePaths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.backup_receipts.symlink_to(Path("/nowhere/else"))  # which is never followed
    stored: Any = services.store(by="ops")
    assert stored.is_new
    assert "no receipt could be written of what happened to a stored snapshot" in caplog.text
    assert list_receipts() == []
