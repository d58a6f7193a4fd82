"""What is stored of a real site, and when nothing is stored again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.base import File
from django.core.files.storage import InMemoryStorage
from pytest_django import Settings

from backups import services as snapshots
from backups.archive import services, storing, unchanged
from backups.archive.encryption import make_pair
from backups.archive.folder_storage import FolderStorage
from backups.archive.services import Stored
from backups.archive.storage import StoredFiles, get_files
from backups.exceptions import RecipientError, StorageError
from taskdog.audit.models import AuditLog
from tests.backups.archive.stored_in import store_in
from tests.backups.uploads import add_tasks
from tests.site import Site, task_names

NAME = "taskdog-backup-20261126-030000"


@pytest.fixture
def live(live: Site, settings: Settings) -> Site:
    """A site that stores in memory."""
    store_in(settings, InMemoryStorage)
    return live


@pytest.fixture
def _at_three() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 26, 3, 0, tzinfo=UTC), tick=False):
        yield


def backup(**options: Any) -> Stored:
    with services.settling():  # the audit log gets a row
        return storing.store_snapshot(by="tester", **options)


def test_the_manifest_says_what_was_stored(live: Site, settings: Settings, tmp_path: Path) -> None:
    settings.BACKUPS_RELEASE = "1.2"
    add_tasks(live.database, "one", "two")
    steps: list[int] = []
    stored = backup(schedule="0 3 * * *", progress=steps.append).snapshot
    assert services.list_snapshots() == [stored]
    manifest = stored.manifest
    assert manifest is not None
    assert (manifest.by, manifest.schedule, manifest.label) == ("tester", "0 3 * * *", None)
    assert (manifest.site, manifest.release, manifest.recipients) == ("taskdog", "1.2", ())
    assert manifest.rows["tasks"] == 2
    assert "tasks.0001_initial" in manifest.migrations
    assert manifest.software["sqlite"]
    content = b"".join(services.unpack_snapshot(stored))
    assert sum(steps) == len(content) == manifest.database_size
    (tmp_path / "back.db").write_bytes(content)
    assert task_names(tmp_path / "back.db") == ["one", "two"]


def test_what_has_not_changed_is_not_stored_again(live: Site) -> None:
    first = backup()
    again = backup()
    assert (first.is_new, again.is_new) == (True, False)
    assert again.snapshot == first.snapshot
    add_tasks(live.database, "one")
    assert backup().is_new
    assert len(services.list_snapshots()) == 2


def test_a_label_stores_anyway(live: Site) -> None:
    backup()
    assert backup(label="before the move").is_new


def test_the_setting_stores_anyway(live: Site, settings: Settings) -> None:
    settings.BACKUPS_SKIP_UNCHANGED = False
    backup()
    assert backup().is_new


def test_other_recipients_store_anyway(live: Site, settings: Settings) -> None:
    backup()
    settings.BACKUPS_RECIPIENTS = [make_pair()[1]]
    encrypted = backup()
    assert encrypted.is_new
    assert encrypted.snapshot.name.endswith(".db.zst.age")
    assert not backup().is_new
    settings.BACKUPS_RECIPIENTS = [make_pair()[1]]
    assert backup().is_new


def test_a_last_one_that_is_gone_or_changed_is_replaced(live: Site) -> None:
    stored = backup().snapshot
    files = get_files()
    files.replace(stored.name, b"shorter")
    assert backup().is_new
    for name in files.sizes():
        files.delete(name)
    assert backup().is_new


def test_a_last_one_whose_manifest_can_not_be_read_is_stored_again(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = f"{backup().snapshot.name}.json"
    read = StoredFiles.chunks

    def refuse(files: StoredFiles, name: str, *part: Any) -> Iterator[bytes]:
        if name == manifest:
            raise StorageError("it refuses")
        return read(files, name, *part)

    monkeypatch.setattr(StoredFiles, "chunks", refuse)
    assert backup().is_new


def test_rows_of_our_own_in_the_audit_log_do_not_count_as_a_change(live: Site) -> None:
    with services.settling():
        stored = storing.store_snapshot(by="tester").snapshot
        AuditLog.objects.create(operation="one more", resource_type="backup")
    again = backup()
    assert (again.is_new, again.snapshot) == (False, stored)
    add_tasks(live.database, "of somebody else")
    assert backup().is_new


def test_whoever_writes_in_between_counts_as_a_change(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tasks(live.database, "one")
    hash_it = unchanged._hash

    def slowly(*arguments: Any, **options: Any) -> tuple[int, str]:
        found = hash_it(*arguments, **options)
        with closing(sqlite3.connect(live.database)) as other:
            other.execute("UPDATE tasks SET name = 'by another'")
            other.commit()
        return found

    with monkeypatch.context() as patched, services.settling():
        storing.store_snapshot(by="tester")
        patched.setattr(unchanged, "_hash", slowly)
    assert backup().is_new


@pytest.mark.usefixtures("_at_three")
def test_two_of_one_second_have_different_ids(live: Site) -> None:
    stored = [backup(label=word).snapshot for word in ("one", "two", "three")]
    assert [each.name for each in stored] == [
        f"{NAME}.db.zst",
        f"{NAME}-2.db.zst",
        f"{NAME}-3.db.zst",
    ]
    assert services.find_snapshot("latest") == stored[2]


@pytest.mark.usefixtures("_at_three")
def test_an_id_that_another_process_is_storing_is_left_to_it(live: Site) -> None:
    with snapshots.get_store().lock("store 20261126-030000"):
        assert backup().snapshot.id == "20261126-030000-2"


@pytest.mark.usefixtures("_at_three")
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_another_machine_that_takes_the_name_is_named(
    live: Site, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    save: Any = InMemoryStorage._save  # type: ignore[attr-defined]

    def late(storage: InMemoryStorage, name: str, content: Any) -> str:
        if name == f"{NAME}.db.zst{suffix}" and not storage.exists(name):
            with storage.open(name, "wb") as file:
                file.write(b"of another machine")
            raise FileExistsError(name)
        return str(save(storage, name, content))

    monkeypatch.setattr(InMemoryStorage, "_save", late)
    with pytest.raises(StorageError, match=f"another machine has just stored {NAME}") as caught:
        backup()
    assert "BACKUPS_NAME" in caught.value.hint
    assert get_files().read(f"{NAME}.db.zst{suffix}") == b"of another machine"


@pytest.mark.parametrize("can_delete", [True, False])
def test_without_its_manifest_nothing_is_stored(
    live: Site, monkeypatch: pytest.MonkeyPatch, can_delete: bool
) -> None:
    save: Any = InMemoryStorage._save  # type: ignore[attr-defined]

    def refuse(storage: InMemoryStorage, name: str, *content: Any) -> str:
        if name.endswith(".json") or not content:
            raise PermissionError(name)
        return str(save(storage, name, *content))

    with monkeypatch.context() as patched:
        patched.setattr(InMemoryStorage, "_save", refuse)
        if not can_delete:
            patched.setattr(InMemoryStorage, "delete", refuse)
        with pytest.raises(StorageError, match=r"\.json could not be written"):
            backup()
        assert len(get_files().sizes()) == (0 if can_delete else 1)
    assert backup().is_new


def test_a_wrong_recipient_is_found_before_any_work(live: Site, settings: Settings) -> None:
    settings.BACKUPS_RECIPIENTS = ["age1nonsense"]
    steps: list[int] = []
    with pytest.raises(RecipientError):
        backup(progress=steps.append)
    assert not steps
    assert get_files().sizes() == {}


class TruncatesManifests(FolderStorage):
    """Says that it has stored a manifest, and has a part of it, or nothing."""

    kept = 100

    def _save(self, name: str, content: "File[Any]") -> str:
        saved = super()._save(name, content)
        if name.endswith(".json"):
            os.truncate(self.folder / name, self.kept)
            if not self.kept:
                os.unlink(self.folder / name)
        return saved


@pytest.mark.parametrize("kept", [0, 100])
def test_a_storage_that_loses_the_manifest_is_told_at_once_and_nothing_is_stored(
    live: Site, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(TruncatesManifests, "kept", kept)
    store_in(settings, TruncatesManifests, location=tmp_path / "far")
    with pytest.raises(StorageError, match="json was sent with"):
        services.store(by="tester")
    assert os.listdir(tmp_path / "far") == []


def store_then_use(storage: type[FolderStorage], settings: Settings, folder: Path) -> None:
    """Store a snapshot in a folder, and reach it by another storage from then on."""
    store_in(settings, location=folder)
    services.store(by="tester")
    store_in(settings, storage, location=folder)


class Garbage(FolderStorage):
    """Lists what is no size."""

    def sizes(self) -> dict[str, Any]:
        """The sizes in words."""
        return dict.fromkeys(super().sizes(), "many")


def test_a_listing_that_is_none_is_an_error_of_the_storage(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    store_then_use(Garbage, settings, tmp_path / "far")
    with pytest.raises(StorageError, match="could not be listed"):
        services.list_snapshots()


class Endless(FolderStorage):
    """Sends more than was asked for."""

    sent = 0

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """No end of it."""
        for _ in range(100):
            type(self).sent += 1024**2
            yield b" " * 1024**2


def test_of_a_manifest_without_an_end_only_the_first_bytes_are_read(
    live: Site, settings: Settings, tmp_path: Path
) -> None:
    store_then_use(Endless, settings, tmp_path / "far")
    [stored] = services.list_snapshots()
    assert stored.manifest is None
    assert Endless.sent < 10 * 1024**2
