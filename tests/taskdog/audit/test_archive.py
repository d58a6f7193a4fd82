"""What the audit log tells of stored snapshots."""

from pathlib import Path

import pytest
from pytest_django import Settings

from backups import signals
from backups.archive import services
from backups.exceptions import BackupError
from taskdog.audit.models import AuditLog
from tests.backups.conftest import live  # noqa: F401  # a fixture
from tests.site import Site

pytestmark = pytest.mark.usefixtures("live")


def rows() -> list[AuditLog]:
    return list(AuditLog.objects.filter(resource_type="database").order_by("id"))


def test_each_thing_that_happens_to_stored_snapshots_is_told(settings: Settings) -> None:
    stored = services.store(by="schedule", label="before").snapshot
    services.verify(stored.id, by="ops")
    signals.snapshots_pruned.send_robust(None, database=None, ids=("a", "b"), by="boss")
    settings.BACKUPS_RECIPIENTS = ["no key"]
    with pytest.raises(BackupError) as failed:
        services.store(by="cron")
    first, tried, deleted, failing = rows()
    assert [row.operation for row in (first, tried, deleted, failing)] == [
        "backup_stored",
        "backup_verified",
        "backups_deleted",
        "backup_failed",
    ]
    assert (first.resource_name, first.client_name) == (stored.name, "schedule")
    assert stored.manifest is not None
    assert first.new_values == {
        "size": stored.size,
        "database_size": stored.manifest.database_size,
        "sha256": stored.manifest.sha256,
        "label": "before",
    }
    assert (tried.client_name, tried.success) == ("ops", True)
    assert tried.new_values is not None
    assert tried.new_values["outcome"] == "restorable"
    assert (deleted.client_name, deleted.new_values) == ("boss", {"ids": ["a", "b"]})
    assert (failing.success, failing.error_message) == (False, str(failed.value))
    assert failing.client_name == "cron"


def test_a_log_that_can_not_be_written_fails_no_backup(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(AuditLog.objects, "create", refuse)
    assert services.store(by="ops").is_new
    assert "the audit log lacks a backup: read-only" in caplog.text


def test_a_backup_after_its_own_row_finds_nothing_changed() -> None:
    with services.settling():
        assert services.store(by="ops").is_new
    assert rows()
    assert not services.store(by="ops").is_new


def test_verifying_on_a_new_machine_makes_no_database(site: Site, tmp_path: Path) -> None:
    assert site.manage("backup", "--store").code == 0
    machine = Site(tmp_path / "new", "")
    machine.data.mkdir(mode=0o700)
    stored = {"TASKDOG_BACKUP_STORAGE": str(site.data / "tasks.db.backups")}
    verified = machine.manage("backups", "verify", "latest", **stored)
    assert "restorable" in verified.out
    assert not machine.database.exists()
