import errno
import gzip
import hashlib
import inspect
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from backups import services, signals, store
from backups.exceptions import (
    BackupNotSupportedError,
    NeedsRestartError,
    NoPendingRestoreError,
    NotADatabaseError,
    OwnFileError,
    SnapshotFailedError,
    SnapshotTooLargeError,
)
from backups.site import engine, local_store, own_files
from backups.store import PendingRestore, Receipt
from tests.backups import builders
from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Site, task_names

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)


def pending(*migrations: str) -> PendingRestore:
    return PendingRestore(
        size=1, sha256="ab" * 32, staged_at=AT, staged_by="laptop", migrations=migrations
    )


def test_public_surface_is_written_down() -> None:
    defined = [
        name
        for name, value in vars(services).items()
        if inspect.isfunction(value)
        and value.__module__
        in (services.__name__, local_store.__name__, own_files.__name__, store.__name__)
        and not name.startswith("_")
    ]
    assert services.__all__ == sorted(defined)


@pytest.mark.parametrize("name", services.__all__)
def test_each_service_says_what_it_does(name: str) -> None:
    assert getattr(services, name).__doc__


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_compressed_snapshot_is_unpacked_as_it_arrives_and_the_answer_says_so(
    live: Site, template_site: Site, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    content = snapshot_of(template_site, tmp_path / "snapshot.db", "packed").read_bytes()
    staged = services.stage_restore([pack(content)], staged_by="tester")
    assert (staged.size, staged.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert any("was unpacked from" in warning for warning in staged.warnings)
    assert task_names(live.data / "tasks.db.pending-restore") == ["packed"]


def test_unpacked_upload_has_the_same_limit(
    live: Site, template_site: Site, tmp_path: Path, settings: Settings
) -> None:
    content = snapshot_of(template_site, tmp_path / "snapshot.db").read_bytes()
    packed = gzip.compress(content)
    settings.BACKUPS_MAX_UPLOAD_BYTES = len(content) - 1
    before = live.files()
    with pytest.raises(SnapshotTooLargeError):
        services.stage_restore([packed], staged_by="tester", at_least=len(packed))
    assert live.files() == before


# Which store


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory&cache=shared", ""])
def test_in_memory_database_is_unsupported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)
    with pytest.raises(BackupNotSupportedError, match="in memory"):
        services.get_store()


def test_other_databases_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ConnectionHandler({"default": {"ENGINE": "django.db.backends.dummy"}})
    monkeypatch.setattr(local_store, "connections", other)
    monkeypatch.setattr(engine, "connections", other)
    with pytest.raises(BackupNotSupportedError, match="'default' is unknown, neither SQLite"):
        services.get_store()


@pytest.mark.parametrize("name", [":memory:"])
def test_start_does_nothing_for_a_database_in_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)
    assert services.apply_pending_restore() is None
    services.hold_presence()
    services.release_presence()


# Snapshot


def test_snapshot_holds_what_was_committed_before_it(live: Site, tmp_path: Path) -> None:
    add_tasks(live.database, "committed")
    before = live.names()
    with services.create_snapshot() as snapshot:
        content = b"".join(snapshot)
    assert len(content) == snapshot.size
    assert live.names() - before == {"tasks.db.sent-snapshots.jsonl"}
    path = tmp_path / "taken.db"
    path.write_bytes(content)
    assert task_names(path) == ["committed"]


def test_snapshot_of_a_missing_database_fails_and_creates_none(live: Site) -> None:
    live.database.unlink()
    with pytest.raises(SnapshotFailedError, match="There is no database at"):
        services.create_snapshot()
    assert not live.database.exists()


@pytest.mark.parametrize("zone", [UTC, datetime.now().astimezone().tzinfo])
def test_snapshot_is_named_in_utc(live: Site, zone: object, settings: Settings) -> None:
    settings.BACKUPS_NAME = "orchard"
    moment = AT.astimezone(zone)  # type: ignore[arg-type]
    assert services.snapshot_name(moment) == "orchard-backup-20261123-024538.db"


# Stage, discard, status


def test_staging_and_discarding_are_logged_with_who_did_it(
    live: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = snapshot_of(live, tmp_path / "good.db", "restored")
    before = live.names()
    with caplog.at_level(logging.INFO, "backups.services"):
        staged = services.stage_restore([path.read_bytes()], staged_by="laptop")
        assert services.get_restore_status().pending == staged
        discarded = services.discard_pending_restore(discarded_by="ann")
    assert discarded == staged
    assert f"staged by laptop: {staged.size} bytes, SHA-256 {staged.sha256}" in caplog.text
    assert "discarded by ann" in caplog.text
    assert live.names() - before == {"tasks.db.restore-receipts.jsonl"}
    assert [(receipt["outcome"], receipt["by"]) for receipt in live.receipts()] == [
        ("staged", "laptop"),
        ("discarded", "ann"),
    ]


def test_what_was_staged_stands_even_if_no_receipt_of_it_can_be_written(
    live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("backups.sqlite.records.receipts.append_receipt", full)
    path = snapshot_of(live, tmp_path / "good.db", "restored")
    staged = services.stage_restore([path.read_bytes()], staged_by="laptop")
    assert services.get_restore_status().pending == staged
    assert live.receipts() == []


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Receipt]]:
    """What the site's own apps are told of restores."""
    told: list[Receipt] = []

    def hear(receipt: Receipt, **_: object) -> None:
        told.append(receipt)

    signals.restore_recorded.connect(hear, weak=False)
    yield told
    signals.restore_recorded.disconnect(hear)


def test_every_step_is_announced_also_one_that_failed(
    live: Site, tmp_path: Path, heard: list[Receipt], caplog: pytest.LogCaptureFixture
) -> None:
    add_tasks(live.database, "live")
    path = snapshot_of(live, tmp_path / "older.db", "restored")
    with closing(sqlite3.connect(path)) as older:
        older.execute("DROP TABLE django_session")
        older.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        older.commit()
    services.hold_presence()
    services.stage_restore([path.read_bytes()], staged_by="laptop")
    with pytest.raises(NeedsRestartError):
        services.apply_now(applied_by="ann")
    services.discard_pending_restore(discarded_by="ben")
    assert [(receipt.outcome, receipt.by) for receipt in heard] == [
        ("staged", "laptop"),
        ("blocked", "ann"),
        ("discarded", "ben"),
    ]
    assert heard == services.list_receipts()[::-1]
    assert "restore not applied while the site runs: The snapshot is older" in caplog.text


def test_restore_is_applied_now_and_undone_in_this_process(
    live: Site, tmp_path: Path, heard: list[Receipt], caplog: pytest.LogCaptureFixture
) -> None:
    add_tasks(live.database, "live")
    path = snapshot_of(live, tmp_path / "good.db")
    services.hold_presence()
    staged = services.stage_restore([path.read_bytes()], staged_by="laptop")
    receipt = services.apply_now(applied_by="ann", sha256=staged.sha256)
    assert task_names(live.data / str(receipt.kept)) == ["live"]
    with caplog.at_level(logging.INFO, "backups.services"):
        undo = services.undo_restore(staged_by="ben")
    assert undo.undoes == receipt.kept
    assert f"undo staged by ben: {receipt.kept}" in caplog.text
    assert [copy.name for copy in services.list_kept_copies()] == [receipt.kept]
    assert [told.outcome for told in heard] == ["staged", "applied", "staged"]


def test_only_what_sqlite_can_read_is_readable_and_nothing_is_created(live: Site) -> None:
    assert services.is_readable()
    for content in (b"", b"garbage" * 1000):
        live.database.write_bytes(content)
        assert not services.is_readable()
        assert live.database.read_bytes() == content
    live.database.unlink()
    assert not services.is_readable()
    assert not live.database.exists()


def test_what_is_wrapped_twice_has_the_commands_for_both(live: Site) -> None:
    dump = gzip.compress(b"BEGIN TRANSACTION;\nCREATE TABLE tasks (id);\nCOMMIT;\n")
    with pytest.raises(NotADatabaseError, match="it is SQL text") as error:
        services.stage_restore([dump], staged_by="laptop")
    assert error.value.hint.startswith("Unpack it first: gunzip < FILE > unpacked. ")
    assert error.value.hint.endswith("sqlite3 restored.db < unpacked")
    encrypted = zstd.compress(b"age-encryption.org/v1\n-> X25519 x" + bytes(200))
    with pytest.raises(NotADatabaseError, match="encrypted by age") as error:
        services.stage_restore([encrypted], staged_by="laptop")
    assert error.value.hint.startswith("Unpack it first: unzstd < FILE > unpacked. ")
    assert error.value.hint.endswith("age --decrypt -i KEY_FILE -o restored.db unpacked")


def test_discarding_nothing_raises(live: Site) -> None:
    with pytest.raises(NoPendingRestoreError):
        services.discard_pending_restore(discarded_by="ann")


def test_asking_for_the_status_writes_nothing(live: Site) -> None:
    before = live.files()
    status = services.get_restore_status()
    assert (status.pending, status.last) == (None, None)
    assert live.files() == before


def test_staging_works_while_the_live_database_is_missing(live: Site, tmp_path: Path) -> None:
    path = snapshot_of(live, tmp_path / "good.db", "restored")
    live.database.unlink()
    services.stage_restore([path.read_bytes()], staged_by="laptop")
    assert not live.database.exists()
    assert (live.data / "tasks.db.pending-restore").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("migrations", "words"),
    [
        ((), "The next start keeps"),
        (("a.1",), "runs 1 migration on the snapshot, keeps"),
        (("a.1", "a.2"), "runs 2 migrations on the snapshot, keeps"),
    ],
)
def test_next_start_is_described_in_a_sentence(
    live: Site, migrations: tuple[str, ...], words: str
) -> None:
    sentence = services.describe_next_start(pending(*migrations))
    assert words in sentence
    assert "tasks.db.pre-restore-<time>" in sentence


# Paths that a person names


@pytest.mark.parametrize("name", ["tasks.db", "tasks.db-wal", "tasks.db-shm", "tasks.db-journal"])
def test_live_database_is_no_snapshot_to_restore(live: Site, name: str) -> None:
    (live.data / name).touch()
    with pytest.raises(OwnFileError, match="is the live database, not a snapshot"):
        services.check_not_live(live.data / name)


def test_live_database_is_known_by_any_other_name(live: Site, tmp_path: Path) -> None:
    (tmp_path / "soft.db").symlink_to(live.database)
    (tmp_path / "hard.db").hardlink_to(live.database)
    for name in ("soft.db", "hard.db", "data/../data/tasks.db"):
        with pytest.raises(OwnFileError):
            services.check_not_live(tmp_path / name)


def test_kept_copy_may_be_restored(live: Site, tmp_path: Path) -> None:
    kept = snapshot_of(live, live.data / "tasks.db.pre-restore-20261123-024538")
    services.check_not_live(kept)
    services.check_not_live(tmp_path / "missing.db")


@pytest.mark.parametrize(
    "name",
    [
        "tasks.db",
        "tasks.db-wal",
        "tasks.db-journal",
        "tasks.db.lock",
        "tasks.db.pending-restore",
        "tasks.db.pre-restore-20261123-024538",
        "../data/tasks.db",
    ],
)
def test_snapshot_may_not_be_written_onto_the_database_s_own_names(live: Site, name: str) -> None:
    with pytest.raises(OwnFileError, match="reserved for files of the live database"):
        services.check_not_own(live.data / name)


def test_snapshot_may_be_written_beside_the_database(live: Site, tmp_path: Path) -> None:
    services.check_not_own(live.data / "taskdog-backup-20261123-024538.db")
    services.check_not_own(tmp_path / "tasks.db")
    services.check_not_own(tmp_path / "missing" / "tasks.db")


def test_snapshot_may_not_be_written_onto_the_link_that_the_settings_name(
    live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link.sqlite3"
    link.symlink_to(live.database)
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", link)
    for name in (link, live.database):
        with pytest.raises(OwnFileError):
            services.check_not_own(name)


# Start


def test_nothing_pending_is_a_noop(live: Site) -> None:
    before = live.files()
    assert services.apply_pending_restore() is None
    assert live.files() == before


def test_applied_restore_is_what_the_site_has_afterwards(
    live: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = snapshot_of(live, tmp_path / "good.db", "restored")
    services.stage_restore([path.read_bytes()], staged_by="laptop")
    connections["default"].close()
    receipt = services.apply_pending_restore()
    assert receipt is not None
    assert receipt.outcome == "applied"
    assert task_names(live.database) == ["restored"]
    assert f"the old database is kept as {receipt.kept}" in caplog.text


def test_restore_that_was_tampered_with_is_refused_loudly_and_the_data_stay(
    live: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_tasks(live.database, "live")
    path = snapshot_of(live, tmp_path / "good.db", "restored")
    services.stage_restore([path.read_bytes()], staged_by="laptop")
    connections["default"].close()
    with closing(sqlite3.connect(live.data / "tasks.db.pending-restore")) as pending_file:
        pending_file.execute("CREATE TABLE backdoor (x)")
    receipt = services.apply_pending_restore()
    assert receipt is not None
    assert receipt.outcome == "refused"
    assert task_names(live.database) == ["live"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "the site runs on its old data" in record.getMessage()
    assert str(receipt.kept) in record.getMessage()


def test_warnings_of_a_file_do_not_depend_on_the_database_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may be for another server."""
    copied = builders.healthy(tmp_path / "copied.db", journal_mode="wal").read_bytes()
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    assert "in WAL mode" in services.foresee_warnings(copied[:100])[0]
    assert services.foresee_warnings(b"something else") == ()
