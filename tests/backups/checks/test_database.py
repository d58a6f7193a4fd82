"""The check that recommends WAL mode, on real databases."""

import ast
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import django
import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage
from django.db import connections
from pytest_django import DjangoDbBlocker

from backups.checks.database import check_journal_mode
from backups.disk import file_system
from tests.backups import builders


@pytest.fixture
def database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    """The database of a project with no options of its own."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", tmp_path / "db.sqlite3")
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    with django_db_blocker.unblock():
        yield tmp_path / "db.sqlite3"
        connections["default"].close()


def messages() -> list[CheckMessage]:
    """What ``check --database default`` finds of this one."""
    found = django_checks.run_checks(databases=["default"])
    return [message for message in found if message.id == "backups.W030"]


@pytest.mark.parametrize("mode", ["delete", "persist", "truncate"])
def test_rollback_mode_is_told_with_what_to_paste(mode: str, database: Path) -> None:
    builders.healthy(database, "row")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    (warning,) = messages()
    assert "'default' is in journal mode delete" in warning.msg
    assert warning.hint is not None
    options = ast.literal_eval("{" + warning.hint.partition(":\n")[2] + "}")["OPTIONS"]
    with mock.patch.dict(connections["default"].settings_dict, {"OPTIONS": options}):
        connections["default"].close()
        assert messages() == []
    assert builders.journal_mode(database) == "wal"


def test_django_without_the_option_is_told_what_to_run(database: Path) -> None:
    builders.healthy(database, "row")
    with mock.patch.object(django, "VERSION", (4, 2, 16, "final", 0)):
        (warning,) = messages()
    assert "connections['default'].cursor().execute('PRAGMA journal_mode=WAL')" in str(warning.hint)


@pytest.mark.parametrize(
    "build",
    [
        lambda path: builders.healthy(path, "row", journal_mode="wal"),
        builders.empty,
        builders.text,
        lambda path: None,
    ],
    ids=["wal", "empty", "text", "missing"],
)
def test_nothing_else_is_told_or_changed(build: Callable[[Path], object], database: Path) -> None:
    build(database)
    before = builders.folder(database.parent)
    assert messages() == []
    connections["default"].close()
    assert builders.folder(database.parent) == before


def test_nothing_is_told_where_wal_mode_does_not_work(database: Path, tmp_path: Path) -> None:
    builders.healthy(database, "row")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:41 / {tmp_path} rw - nfs4 server:/export rw\n")
    with mock.patch.object(file_system, "MOUNTS", mounts):
        assert messages() == []


def test_database_is_not_looked_at_unless_it_is_asked_for() -> None:
    with mock.patch("backups.site.sqlite_site.journal_mode") as asked:
        assert check_journal_mode() == []
        assert check_journal_mode(databases=[]) == []
    asked.assert_not_called()
