"""The checks of how a site connects, and of where its database is, on real databases."""

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import django
import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage, Tags
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from backups.checks.connections import check_connections
from backups.disk import file_system
from backups.exceptions import BackupNotSupportedError
from backups.site import local_store
from tests.backups import builders

GOOD = {"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE"}


@pytest.fixture
def database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    """The database of a project that has done all it should; it is not there yet."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "db.sqlite3"
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", path)
    has_version(monkeypatch, 3, 53, 4)
    set_options(monkeypatch, {})
    with django_db_blocker.unblock():
        yield path


@pytest.fixture
def there(database: Path) -> Path:
    """The same, with rows in it."""
    return builders.healthy(database, "row", journal_mode="wal")


def set_options(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    """The good ones, but for these; None takes one away."""
    merged = {name: value for name, value in (GOOD | options).items() if value is not None}
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", merged)


def has_version(monkeypatch: pytest.MonkeyPatch, *version: int) -> None:
    """Let SQLite be of this version."""
    wrapper: Any = connections["default"]
    monkeypatch.setattr(wrapper.Database, "sqlite_version_info", version)


def messages(**arguments: Any) -> list[CheckMessage]:
    """What is found; by this check alone, since some of Django's own open connections."""
    return check_connections(**arguments)


def numbers(**arguments: Any) -> list[str]:
    """Their ids, without what they share."""
    return [str(message.id).removeprefix("backups.") for message in messages(**arguments)]


def mounted(tmp_path: Path, kind: str, point: Path | str) -> Any:
    """Let a folder be on a file system of this kind."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 254:0 / / rw - ext4 /dev/vda rw\n36 35 0:41 / {point} rw - {kind} x rw\n"
    )
    return mock.patch.object(file_system, "MOUNTS", mounts)


def without_wal_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    set_options(monkeypatch, {"init_command": None})


def test_plain_check_asks() -> None:
    plain: list[Any] = [*django_checks.registry.registry.get_checks()]
    assert check_connections in plain
    assert Tags.database not in getattr(check_connections, "tags", ())


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_said_of_good_settings_and_nothing_is_made(exists: bool, database: Path) -> None:
    if exists:
        builders.healthy(database, "row", journal_mode="wal")
    before = builders.folder(database.parent)
    assert messages() == []
    assert builders.folder(database.parent) == before
    assert connections["default"].connection is None


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("PRAGMA journal_mode=delete", "W071"),
        ("pragma journal_mode = 'truncate';", "W071"),
        ("PRAGMA main.journal_mode(PERSIST)", "W071"),
        ("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;", "W073"),
        ("PRAGMA journal_mode=WAL; PRAGMA synchronous = 0", "W073"),
        ("PRAGMA journal_mode=WAL; PRAGMA synchronous(off)", "W073"),
        ("PRAGMA journal_mode=WAL; PRAGMA busy_timeout=100", "W074"),
        ("PRAGMA journal_mode=WAL; PRAGMA mmap_size=268435456", "W075"),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_pragma_of_the_settings_is_told(
    exists: bool, command: str, number: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exists:
        builders.healthy(database, "row")
    set_options(monkeypatch, {"init_command": command})
    (message,) = messages()
    assert message.id == f"backups.{number}"
    assert "'default'" in message.msg
    assert message.hint
    assert database.exists() is exists


@pytest.mark.parametrize(
    "command",
    [
        "PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "PRAGMA journal_mode=WAL; PRAGMA mmap_size=0; PRAGMA busy_timeout=5000",
    ],
)
def test_last_word_of_the_settings_counts(
    command: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, {"init_command": command})
    assert numbers() == []
    builders.healthy(database, "row")
    assert numbers() == []


def test_what_a_receiver_of_the_project_sets_is_told(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive(connection: Any, **_: object) -> None:
        connection.cursor().execute("PRAGMA synchronous=OFF")

    connection_created.connect(receive)
    try:
        assert numbers() == ["W073"]
    finally:
        connection_created.disconnect(receive)


def test_database_that_was_once_put_into_wal_mode_stays_in_it(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wal_setting(monkeypatch)
    assert numbers() == []


def test_rollback_journal_is_told_of_a_database_that_is_there(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wal_setting(monkeypatch)
    assert numbers() == []  # which can't be said yet
    builders.healthy(database, "row")
    (message,) = messages()
    assert message.id == "backups.W071"
    assert "manage.py check --database default" in str(message.hint)
    assert builders.journal_mode(database) == "delete"


def test_rollback_journal_is_told_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_wal_setting(monkeypatch)
    builders.healthy(database, "row")
    assert numbers(databases=["other"]) == ["W071"]
    assert numbers(databases=["default"]) == []  # W030 says it, with more of what to do


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "Immediate", "EXCLUSIVE"])
def test_transactions_that_take_their_turn_are_good(
    mode: str, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, {"transaction_mode": mode})
    assert numbers() == []


@pytest.mark.parametrize("mode", [None, "DEFERRED", "deferred"])
def test_transactions_that_do_not_are_told(
    mode: str | None, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, {"transaction_mode": mode})
    (message,) = messages()
    assert message.id == "backups.W072"
    assert '"transaction_mode": "IMMEDIATE"' in str(message.hint)


def test_django_without_the_option_is_to_be_upgraded(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, {"transaction_mode": None})
    with mock.patch.object(django, "VERSION", (4, 2, 16, "final", 0)):
        (message,) = messages()
    assert str(message.hint).startswith("Upgrade to Django 5.1")


def test_backend_that_begins_transactions_itself_is_not_told(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(DatabaseWrapper):
        def _start_transaction_under_autocommit(self) -> None:
            self.cursor().execute("BEGIN IMMEDIATE")

    set_options(monkeypatch, {"transaction_mode": None})
    monkeypatch.setattr(connections["default"], "__class__", Own)
    assert numbers() == []


@pytest.mark.parametrize(
    ("timeout", "found"), [(0, ["W074"]), (1, ["W074"]), (4.9, ["W074"]), (5, []), (30, [])]
)
@pytest.mark.parametrize("exists", [True, False])
def test_short_timeout_is_told(
    exists: bool,
    timeout: float,
    found: list[str],
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if exists:
        builders.healthy(database, "row")
    set_options(monkeypatch, {"timeout": timeout})
    assert numbers() == found


# Which SQLite


@pytest.mark.parametrize("exists", [True, False])
def test_wal_reset_bug_is_told_with_what_helps(
    exists: bool, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exists:
        builders.healthy(database, "row", journal_mode="wal")
    has_version(monkeypatch, 3, 40, 1)
    (message,) = messages()
    assert message.id == "backups.W070"
    assert "SQLite 3.40.1" in message.msg
    assert "several processes" in message.msg
    assert "pip install pysqlite3" in str(message.hint)


def test_wal_reset_bug_is_told_where_the_mode_is_not_known(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wal_setting(monkeypatch)
    has_version(monkeypatch, 3, 46, 1)
    builders.text(database)
    assert numbers() == ["W070"]


def test_wal_reset_bug_is_none_of_a_rollback_journal(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wal_setting(monkeypatch)
    has_version(monkeypatch, 3, 46, 1)
    assert numbers() == []
    builders.healthy(database, "row")
    assert numbers() == ["W071"]


def test_two_libraries_in_one_process_are_refused(database: Path) -> None:
    other = SimpleNamespace(__name__="sqlcipher3", Connection=type("Connection", (), {}))
    with (
        mock.patch.object(connections["default"], "Database", other, create=True),
        pytest.raises(BackupNotSupportedError, match="with sqlcipher3, and this app opens it with"),
    ):
        local_store.get_store()


# Where the database is


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "virtiofs", "ceph"]
)
@pytest.mark.parametrize("exists", [True, False])
def test_network_file_system_is_told_and_no_lock_is_asked_for_there(
    exists: bool, kind: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exists:
        builders.healthy(database, "row")
    with mounted(tmp_path, kind, database.parent), mock.patch.object(sqlite3, "connect") as asked:
        (message,) = messages()
    assert message.id == "backups.W076"
    assert f"({kind}: {database.parent})" in message.msg
    asked.assert_not_called()


@pytest.mark.parametrize("kind", ["xfs", "zfs", "vfat", "fuseblk", "fuse.gocryptfs", "tmpfs"])
def test_other_file_systems_are_not(kind: str, there: Path, tmp_path: Path) -> None:
    with mounted(tmp_path, kind, there.parent):
        assert numbers() == []


@pytest.mark.parametrize("kind", ["overlay", "aufs", "fuse.fuse-overlayfs"])
def test_layer_of_a_container_is_told(kind: str, there: Path, tmp_path: Path) -> None:
    with mounted(tmp_path, kind, "/"):
        (message,) = messages()
    assert message.id == "backups.W077"
    assert f"Mount a volume at {there.parent}" in str(message.hint)


def test_image_that_is_built_has_no_database_yet(database: Path, tmp_path: Path) -> None:
    with mounted(tmp_path, "overlay", "/"):
        assert numbers() == []


def test_volume_of_a_container_is_good(there: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 0:1 / / rw - overlay overlay rw\n36 35 0:41 / {there.parent} rw - ext4 /dev/vda rw\n"
    )
    with mock.patch.object(file_system, "MOUNTS", mounts):
        assert numbers() == []


# What can't be asked


@pytest.mark.parametrize("build", [builders.text, builders.empty])
def test_database_that_cannot_be_read_does_not_stop_a_check(build: Any, database: Path) -> None:
    build(database)
    before = builders.folder(database.parent)
    gc.disable()  # which closes what was left open, sooner or later
    try:
        assert numbers() == []
        assert database not in opened_files()
    finally:
        gc.enable()
    assert builders.folder(database.parent) == before


def opened_files() -> set[Path]:
    """What this process has open."""
    return {path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


@pytest.mark.parametrize("options", [{"no_such_option": 1}, {"transaction_mode": "LATER"}])
def test_settings_that_django_refuses_do_not_stop_a_check(
    options: dict[str, Any], there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, options)
    assert numbers() == (["W072"] if "transaction_mode" in options else [])


def test_locked_database_is_not_waited_for(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_wal_setting(monkeypatch)
    set_options(monkeypatch, {"init_command": None, "timeout": 300})
    builders.healthy(database, "row")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert numbers() == []


@pytest.fixture(autouse=True)
def nothing_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No check leaves a connection behind, which a fork would take along."""
    monkeypatch.setattr(connections["default"], "connection", None)  # another test's, put back
    yield
    assert connections["default"].connection is None
