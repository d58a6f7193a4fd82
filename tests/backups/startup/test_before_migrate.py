import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connections
from django.db.models.signals import pre_migrate
from pytest_django import Settings

from backups.archive import services as archive
from backups.exceptions import StorageError
from backups.startup import before_migrate
from tests.backups.archive.stored_in import store_in
from tests.site import Site

PLAN = [("a migration", False)]
NOT_STORED = "Nothing was migrated: no snapshot could be stored first."


@pytest.fixture(autouse=True)
def archive_folder(
    live: Site, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    settings.BACKUPS_BEFORE_MIGRATE = True
    monkeypatch.setattr(before_migrate, "is_in_a_test", lambda: False)
    monkeypatch.delenv(before_migrate.SKIP, raising=False)
    folder = tmp_path / "archive"
    store_in(settings, location=folder)
    return folder


def migrate(*, apps: int = 1, **changed: Any) -> str:
    """What is printed before the migrations; as ``migrate`` sends it, once for each app."""
    printed, receiver = io.StringIO(), before_migrate._BeforeMigrate()
    sent: dict[str, Any] = {"using": "default", "plan": PLAN, "stdout": printed} | changed
    for _ in range(apps):
        receiver.store(signal=pre_migrate, sender=None, **sent)
    return printed.getvalue()


def labels() -> list[str | None]:
    return [each.manifest.label for each in archive.list_snapshots() if each.manifest]


def test_a_snapshot_is_stored_once_before_all_apps_are_migrated(archive_folder: Path) -> None:
    printed = migrate(apps=3)
    [stored] = archive.list_snapshots()
    assert printed == (
        f"{stored.name} is stored in the folder {archive_folder}, from before these migrations.\n"
    )
    assert labels() == ["before-migrate"]


def test_it_is_stored_though_nothing_has_changed_since_the_last_one() -> None:
    for _ in range(2):
        migrate()
    assert labels() == ["before-migrate"] * 2


@pytest.mark.parametrize("plan", [[], None])
def test_nothing_is_stored_if_nothing_will_run(plan: Any) -> None:
    assert migrate(plan=plan) == ""
    assert not labels()


def test_nothing_is_stored_unless_it_is_wanted(settings: Settings) -> None:
    settings.BACKUPS_BEFORE_MIGRATE = False
    assert migrate() == ""
    assert not labels()


def test_nothing_is_stored_in_a_test_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert migrate() == ""


def test_a_new_database_has_nothing_to_store(site: Site) -> None:
    connections["default"].close()
    site.database.unlink()
    assert migrate() == ""
    assert not labels()


def test_nothing_is_migrated_if_it_can_not_be_stored(
    archive_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_folder.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match=NOT_STORED) as failed:
        migrate()
    assert f"{before_migrate.SKIP}=1" in str(failed.value)
    monkeypatch.setenv(before_migrate.SKIP, "0")
    with pytest.raises(CommandError):
        migrate()
    monkeypatch.setenv(before_migrate.SKIP, "1")
    assert migrate() == ""


def test_any_error_keeps_the_migrations_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise StorageError("The bucket is gone.", hint="Look for it.")

    monkeypatch.setattr(archive, "store", fail)
    with pytest.raises(CommandError, match=r"The bucket is gone\. Look for it\."):
        migrate()


def test_a_database_that_is_no_file_is_migrated_with_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections["default"].ensure_connection()  # it has tables, as one in memory would
    with monkeypatch.context() as changed:  # Django never closes a database in memory
        changed.setitem(connections["default"].settings_dict, "NAME", ":memory:")
        assert "No snapshot before these migrations" in migrate()


@pytest.mark.proof
def test_migrate_itself_stores_first_and_does_not_begin_without(site: Site) -> None:
    wanted = {"TASKDOG_BACKUP_BEFORE_MIGRATE": "1"}
    stored = site.data / "tasks.db.backups"

    def count() -> int:
        return len(list(stored.glob("*.db.zst")))

    assert site.manage("migrate", **wanted).code == 0
    assert count() == 0
    assert site.manage("migrate", "audit", "zero", **wanted).code == 0
    assert count() == 1
    for option in ("--plan", "--check"):
        site.manage("migrate", option, **wanted)
    assert count() == 1
    broken = wanted | {"TASKDOG_BACKUP_STORAGE": str(site.database)}
    refused = site.manage("migrate", **broken)
    assert refused.code == 1
    assert NOT_STORED in refused.err
    assert "audit.0001_initial" in site.manage("migrate", "--plan", **wanted).out
    assert site.manage("migrate", **broken, BACKUPS_SKIP_BEFORE_MIGRATE="1").code == 0
    assert count() == 1
