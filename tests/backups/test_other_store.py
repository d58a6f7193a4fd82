"""Everything above the port with a store that is not SQLite in a file."""

import gzip
import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from backups import services
from backups.archive import jobs
from backups.archive import services as archive
from backups.archive.job_progress import JobProgress
from backups.checks.connections import check_connections
from backups.checks.modes import check_readers, check_writers
from backups.checks.schedule import check_schedule
from backups.exceptions import (
    BackupNotSupportedError,
    DatabaseServerError,
    OtherKindError,
    OwnFileError,
)
from backups.keys.api_keys import create_key
from backups.management.archive import prepare, work
from backups.management.commands.backup import BackupCommand
from backups.site import engine, local_store, sqlite_site
from backups.startup import start
from tests.backups.archive.stored_in import store_in
from tests.backups.other_store import OtherStore, dump_of
from tests.site import Site

DUMP_NAME = r"taskdog-backup-\d{8}-\d{6}\.dump"


@pytest.fixture
def other(live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OtherStore:
    """The store of BACKUPS_DATABASE, which looks like PostgreSQL to what chooses a store."""
    store = OtherStore(tmp_path / "other", "one", "two")
    for module in (engine, local_store, sqlite_site):
        monkeypatch.setattr(module, "vendor_of", lambda _: engine.POSTGRES)
    monkeypatch.setattr(local_store, "_postgres_store", lambda _: store)
    return store


@pytest.fixture
def api(other: OtherStore, keys_file: Path) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=create_key(keys_file, name="all"))
    return client


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Which store


def test_store_is_chosen_by_the_kind_of_database(other: OtherStore) -> None:
    assert services.get_store() is other
    assert local_store.has_store()
    assert local_store.has_database("default")
    assert local_store.server_aliases() == ["default"]
    assert local_store.paths() is None
    assert local_store.all_paths() == []
    assert local_store.own_names() == ()


def test_database_of_a_server_is_one_however_many_aliases_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def on(host: str, port: str = "", **more: Any) -> SimpleNamespace:
        given = {"NAME": "n", "HOST": host, "PORT": port, "OPTIONS": {}, **more}
        return SimpleNamespace(vendor="postgresql", settings_dict=given)

    found = {
        "default": on("one"),
        "again": on("one", "5432"),
        "other": on("two"),
        "named": on("one", NAME="m"),
        "service": on("one", OPTIONS={"service": "reports"}),
    }
    for module in (engine, local_store):
        monkeypatch.setattr(module, "connections", found)
        monkeypatch.setattr(module, "settings", SimpleNamespace(DATABASES=found))
    assert local_store.other_aliases() == ["other", "named", "service"]
    assert local_store.server_aliases() == ["default", "other", "named", "service"]


def test_missing_driver_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "vendor_of", lambda _: engine.POSTGRES)
    with (
        mock.patch.dict("sys.modules", {"psycopg": None}),
    ):
        with pytest.raises(BackupNotSupportedError) as error:
            services.get_store()
        assert not local_store.has_store()
    assert 'pip install "django-restorable[postgres]"' in error.value.hint


def test_folder_takes_the_place_of_the_one_beside_the_database(
    other: OtherStore, settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUPS_KEY_FILE = None
    settings.BACKUPS_FOLDER = None
    assert local_store.key_file() is None
    local_store.make_folder()  # there is none to make
    settings.BACKUPS_FOLDER = tmp_path / "var" / "backups"
    assert local_store.key_file() == tmp_path / "var/backups/taskdog.api-keys.json"
    local_store.make_folder()
    assert (tmp_path / "var/backups").stat().st_mode & 0o777 == 0o700
    with pytest.raises(OwnFileError, match="this site's own files"):
        services.check_not_own(tmp_path / "var/backups/any")


def test_key_is_made_in_that_folder(
    other: OtherStore, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BACKUPS_KEY_FILE = None
    settings.BACKUPS_FOLDER = tmp_path / "var"
    call_command("create_api_key", "nightly")
    assert files_in(tmp_path / "var") == ["taskdog.api-keys.json"]
    assert len(capsys.readouterr().out.strip()) > 20


# Snapshots


def test_command_saves_a_dump(
    other: OtherStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    call_command("backup", output=str(folder), check=True)
    [path] = folder.iterdir()
    assert path.suffix == ".dump"
    assert path.read_bytes() == dump_of("one", "two")
    assert "dump) is whole" in capsys.readouterr().err


def test_file_of_another_kind_is_kept_and_said_to_be_unchecked(
    live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a site on PostgreSQL sends to a machine whose own site is on SQLite."""
    path = tmp_path / "remote.dump"
    path.write_bytes(dump_of("x" * 5000))
    with pytest.raises(CommandError, match="is kept, but it can't be checked here: This is a dump"):
        BackupCommand()._examine(path, is_own=False, database=None)
    assert path.exists()


def test_dump_is_refused_by_a_site_on_sqlite_with_what_to_do(live: Site) -> None:
    with pytest.raises(OtherKindError, match="This is a dump of a PostgreSQL") as error:
        services.stage_restore([dump_of("x" * 5000)], staged_by="tester")
    assert "the last one from before the move" in error.value.hint
    assert services.get_restore_status().pending is None
    assert not [name for name in live.names() if "incoming" in name]


def test_packed_dump_needs_no_unpacking_to_be_refused(live: Site) -> None:
    with pytest.raises(OtherKindError) as error:
        services.stage_restore([gzip.compress(dump_of("x" * 5000))], staged_by="tester")
    assert "Unpack" not in error.value.hint


def test_download_is_called_and_sent_as_what_it_is(api: APIClient) -> None:
    answer = api.get("/api/v1/backup")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].endswith('.dump"')
    assert answer["Snapshot-Method"] == "dump"
    assert b"".join(answer.streaming_content) == dump_of("one", "two")  # type: ignore[attr-defined]
    listed = api.get("/api/v1/restores").json()["downloads"]
    assert {each["method"] for each in listed} == {"dump"}


# The archive


def test_archive_has_snapshots_of_both_stores_after_a_move(
    live: Site,
    tmp_path: Path,
    settings: Settings,
    request: pytest.FixtureRequest,
) -> None:
    store_in(settings, location=str(tmp_path / "archive"))
    old = archive.store(by="ann").snapshot
    store: OtherStore = request.getfixturevalue("other")
    new = archive.store(by="ann").snapshot
    assert old.name.endswith(".db.zst")
    assert new.name.endswith(".dump.zst")
    assert new.manifest is not None
    assert new.manifest.software["postgresql"] == "18.0"
    assert "sqlite" not in new.manifest.software
    assert (new.manifest.method, dict(new.manifest.rows)) == ("dump", {"tasks": 2})

    assert {each.name for each in archive.list_snapshots()} == {old.name, new.name}
    verification = archive.verify(new.id, by="ann")
    assert verification.outcome == "restorable"
    verification = archive.verify(old.id, by="ann")
    assert verification.outcome == "refused"  # this store takes no other kind, and says so
    assert "another" in verification.reason
    pending = archive.stage_snapshot(new.id, staged_by="ann")
    assert pending.size == len(dump_of("one", "two"))
    assert store.pending.exists()
    settings.BACKUPS_KEEP = {"last": 1}
    archive.prune(by="ann")
    assert [each.name for each in archive.list_snapshots()] == [new.name]


# Restores


def test_command_stages_applies_and_undoes(
    other: OtherStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.dump"
    path.write_bytes(dump_of("three"))
    call_command("restore_db", str(path), yes=True)
    assert "The next start puts the dump in place." in capsys.readouterr().out
    call_command("restore_db", status=True)
    assert "Pending on" in capsys.readouterr().out
    call_command("restore_db", now=True, yes=True)
    assert other.live.read_bytes() == dump_of("three")
    call_command("restore_db", undo=True, now=True, yes=True)
    assert other.live.read_bytes() == dump_of("one", "two")
    call_command("restore_db", kept=True)
    assert "kept" in capsys.readouterr().out


def test_upload_of_a_dump_is_staged(api: APIClient, other: OtherStore) -> None:
    answer = api.post("/api/v1/restore", {"file": BytesIO(dump_of("three"))}, format="multipart")
    assert answer.status_code == 200, answer.content
    assert other.pending.read_bytes() == dump_of("three")
    raw = api.post("/api/v1/restore", dump_of("four"), content_type="application/octet-stream")
    assert raw.status_code == 200, raw.content
    assert other.pending.read_bytes() == dump_of("four")


def test_start_applies_and_holds_presence(other: OtherStore) -> None:
    services.stage_restore([dump_of("three")], staged_by="ann")
    receipt = services.apply_pending_restore()
    assert receipt is not None
    assert receipt.outcome == "applied"
    services.hold_presence()
    assert other.present == 1
    services.release_presence()
    assert other.present == 0


def test_job_shows_what_the_store_tells_of_a_long_check(
    other: OtherStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = archive.store(by="ann").snapshot
    written: list[tuple[Any, ...]] = []
    progress = JobProgress(other, "none")
    monkeypatch.setattr(progress, "_write", lambda: written.append(tuple(progress.fields.values())))
    work.restore(by="ann", progress=progress, word=stored.id)
    assert ("copying rows", 0, 4) in written
    assert progress.fields == {"step": "copying rows", "done": 3, "total": 4}


def test_prepared_restore_passes_on_what_is_told(
    other: OtherStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = archive.store(by="ann").snapshot
    seen: list[str] = []
    progress = JobProgress(other, "none")
    monkeypatch.setattr(progress, "_write", lambda: seen.append(progress.fields["step"]))
    monkeypatch.setattr(progress, "look", lambda: None)
    decided = {"what": "stage", "by": "ben", "at": "2026-01-01T00:00:00+00:00"}
    monkeypatch.setattr(progress, "wait", lambda *_, **__: decided)
    source = {"kind": "stored", "id": stored.id}
    prepare.prepare(by="ann", progress=progress, source=source, seconds=1.0)
    assert list(dict.fromkeys(seen)) == ["receiving", "checking", "copying rows", "staging"]


# What watches over it


def test_server_that_is_gone_stops_no_start(
    other: OtherStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other.is_reachable = False
    with pytest.raises(DatabaseServerError):
        services.apply_pending_restore()
    monkeypatch.setattr("sys.argv", ["gunicorn"])
    with caplog.at_level("WARNING"):
        start.start()
    assert "no restore can be applied: The server db.example.org" in caplog.text


def test_health_and_metrics_say_that_the_server_is_gone(
    api: APIClient, other: OtherStore, settings: Settings
) -> None:
    settings.BACKUPS_METRICS_OPEN = True
    assert "backups_free_bytes{" not in api.get("/api/v1/metrics").content.decode()
    other.is_reachable = False
    answer = Client().get("/health/backups")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unreachable",
        "reason": "The database server can't be reached.",
    }
    assert api.get("/api/v1/metrics").status_code == 503
    assert api.get("/api/v1/restore").status_code == 503


def test_checks_of_files_are_silent(other: OtherStore, settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    settings.BACKUPS_BEFORE_MIGRATE = True
    for check in (check_connections, check_writers, check_readers, check_schedule):
        assert check() == []


def test_jobs_are_remembered_by_the_store(other: OtherStore) -> None:
    with other.remember() as state:
        state["jobs"] = []
    assert jobs.list_jobs() == []
    assert json.loads((other.folder / "state").read_text()) == {"jobs": []}
