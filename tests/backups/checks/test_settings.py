import ast
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import django
import pytest
from django.apps import apps
from django.core import checks as django_checks
from pytest_django import Settings
from rest_framework.permissions import IsAdminUser, IsAuthenticated

from backups.checks import archive, keys, settings
from backups.checks.settings import check_installation, check_settings

EITHER = IsAdminUser | IsAuthenticated

WRONG: list[tuple[str, Any, str]] = [
    ("BACKUPS_DATABASE", "archive", "E001"),
    ("BACKUPS_NAME", "", "E002"),
    ("BACKUPS_NAME", "a/b", "E002"),
    ("BACKUPS_NAME", 'a"b', "E002"),
    ("BACKUPS_NAME", "a\r\nX-Header: b", "E002"),
    ("BACKUPS_NAME", "日本", "E002"),  # a header can't carry it as a file name
    *(
        (f"BACKUPS_{name}", value, number)
        for name, number in (
            ("MAX_UPLOAD_BYTES", "E003"),
            ("CHECK_SECONDS", "E004"),
            ("LIVE_SECONDS", "E008"),
            ("SPOOL_SECONDS", "E011"),
            ("STALL_SECONDS", "E012"),
            ("MIGRATE_SECONDS", "E030"),
            ("MIGRATE_PROCESSOR_SECONDS", "E031"),
            ("MIGRATE_MEMORY_BYTES", "E032"),
            ("MIN_BYTES_PER_SECOND", "E035"),
        )
        for value in (0, -1, "10", None, True, float("inf"), float("nan"))
    ),
    *(
        (f"BACKUPS_{name}", value, number)
        for name, number in (
            ("KEPT_COPIES", "E007"),
            ("KEPT_DAYS", "E055"),
            ("COMPACT_UP_TO", "E013"),
            ("SNAPSHOTS_AT_ONCE", "E014"),
            ("MAX_BODY_BYTES", "E036"),
            ("RESUME_SECONDS", "E025"),
            ("MIGRATE_TRIES", "E033"),
            ("UPLOADS_AT_ONCE", "E040"),
            ("KEEP_FREE_BYTES", "E041"),
            ("CHECK_MEMORY_BYTES", "E042"),
            ("CHECK_PROCESSES", "E043"),
        )
        for value in (-1, 1.5, "3", None, True)
    ),
    ("BACKUPS_SNAPSHOTS_AT_ONCE", 0, "E014"),
    ("BACKUPS_MIGRATE_TRIES", 0, "E033"),
    ("BACKUPS_UPLOADS_AT_ONCE", 0, "E040"),
    ("BACKUPS_CHECK_MEMORY_BYTES", 128 * 1024**2 - 1, "E042"),
    *(
        (f"BACKUPS_{name}", value, number)
        for name, number in (
            ("CLEAR_SESSIONS", "E009"),
            ("ALLOW_UNKNOWN_SCHEMA", "E010"),
            ("REMOTE_INSECURE", "E045"),
            ("SKIP_UNCHANGED", "E107"),
        )
        for value in (0, 1, "no", None)
    ),
    *(
        (name, value, number)
        for name, number in (("BACKUPS_RECOGNISER", "E015"), ("BACKUPS_CONNECTION_SETUP", "E016"))
        for value in ("no.such.function", "nodots", ".x", "os.sep", len)
    ),
    *(
        ("BACKUPS_OWN_FILES", value, "E046")
        for value in ("/srv/secret_key", ["secret_key"], [None], None, 1)
    ),
    *(
        (f"BACKUPS_{name}", value, number)
        for name, number in (("FOLDER", "E130"), ("POSTGRES_PROGRAMS", "E131"))
        for value in ("var/backups", 7, ["/srv"])
    ),
    *(("BACKUPS_POSTGRES_TEMPLATE", value, "E133") for value in ("", None, 7)),
    *(("BACKUPS_PYTHON", value, "E017") for value in ("/nowhere/python3", "/", "/bin/echo")),
    *(
        (f"BACKUPS_{name}_PERMISSION", value, number)
        for name, number in (("BACKUP", "E005"), ("RESTORE", "E006"))
        for value in ("no.such.Class", "nodots", ".x", "os.path", IsAdminUser)
    ),
]
RIGHT: list[tuple[str, Any]] = [
    ("BACKUPS_NAME", "my-site.v2"),
    ("BACKUPS_MAX_UPLOAD_BYTES", 1),
    ("BACKUPS_CHECK_SECONDS", 0.5),
    ("BACKUPS_CLEAR_SESSIONS", False),
    ("BACKUPS_ALLOW_UNKNOWN_SCHEMA", True),
    ("BACKUPS_KEPT_COPIES", 0),
    ("BACKUPS_KEPT_DAYS", 0),
    ("BACKUPS_COMPACT_UP_TO", 0),
    ("BACKUPS_SNAPSHOTS_AT_ONCE", 1),
    ("BACKUPS_UPLOADS_AT_ONCE", 1),
    ("BACKUPS_KEEP_FREE_BYTES", 0),
    ("BACKUPS_CHECK_MEMORY_BYTES", 128 * 1024**2),
    ("BACKUPS_CHECK_PROCESSES", 0),
    ("BACKUPS_SPOOL_SECONDS", 0.5),
    ("BACKUPS_STALL_SECONDS", 0.5),
    ("BACKUPS_MIGRATE_SECONDS", 0.5),
    ("BACKUPS_MIGRATE_TRIES", 1),
    ("BACKUPS_LIVE_SECONDS", 0.5),
    ("BACKUPS_RECOGNISER", ""),
    ("BACKUPS_RECOGNISER", "os.path.join"),
    ("BACKUPS_CONNECTION_SETUP", ""),
    ("BACKUPS_CONNECTION_SETUP", "django.db.backends.sqlite3._functions.register"),
    ("BACKUPS_FOLDER", ""),
    ("BACKUPS_FOLDER", "/tmp"),
    ("BACKUPS_POSTGRES_PROGRAMS", None),
    ("BACKUPS_POSTGRES_PROGRAMS", Path("/usr/bin")),
    ("BACKUPS_POSTGRES_CONNECTION", {"host": "10.0.0.7", "port": 5432}),
    ("BACKUPS_POSTGRES_TEMPLATE", "with_postgis"),
    ("BACKUPS_PYTHON", ""),
    ("BACKUPS_PYTHON", sys.executable),
    ("BACKUPS_BACKUP_PERMISSION", "rest_framework.permissions.IsAuthenticated"),
    ("BACKUPS_RESTORE_PERMISSION", f"{__name__}.EITHER"),
]


def test_site_as_it_is_passes() -> None:
    assert check_settings() == []
    assert check_installation() == []


@pytest.mark.parametrize(("setting", "value", "number"), WRONG)
def test_each_wrong_setting_is_named_with_a_hint(
    setting: str, value: Any, number: str, settings: Settings
) -> None:
    setattr(settings, setting, value)
    (message,) = check_settings()
    assert message.id == f"backups.{number}"
    assert message.is_serious()
    assert setting in message.msg
    assert repr(value)[:20] in message.msg
    assert message.hint


@pytest.mark.parametrize(("setting", "value"), RIGHT)
def test_right_settings_pass(setting: str, value: Any, settings: Settings) -> None:
    setattr(settings, setting, value)
    assert check_settings() == []


@pytest.mark.parametrize("value", ["host=db", ["host"], {7: "db"}, {"": "db"}, {"dbname": "db"}])
def test_wrong_parameters_of_a_server_are_not_quoted(value: Any, settings: Settings) -> None:
    settings.BACKUPS_POSTGRES_CONNECTION = value
    (message,) = check_settings()
    assert (message.id, message.is_serious()) == ("backups.E132", True)
    assert "db" not in message.msg
    assert message.hint


def test_folder_that_can_not_be_used_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    settings.BACKUPS_FOLDER = tmp_path / "none"
    settings.BACKUPS_POSTGRES_PROGRAMS = str(tmp_path / "file")
    (tmp_path / "file").touch()
    missing, no_folder = check_settings()
    assert (missing.id, no_folder.id) == ("backups.W130", "backups.W131")
    assert missing.msg == f"BACKUPS_FOLDER is '{tmp_path}/none', which does not exist."
    assert missing.hint is not None
    assert f"install -d -m 0700 {tmp_path}/none" in missing.hint
    assert "which is not a folder" in no_folder.msg


def test_folder_that_this_user_can_not_write_to_is_a_warning(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_FOLDER = tmp_path
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may always
    (message,) = check_settings()
    assert message.id == "backups.W130"
    assert "this user can't write to" in message.msg


def test_wrong_database_names_the_ones_there_are(settings: Settings) -> None:
    settings.BACKUPS_DATABASE = "archive"
    (message,) = check_settings()
    assert message.hint == "Choose one of: default."


def test_another_app_in_front_is_a_warning() -> None:
    def taskdog_first() -> Iterator[Any]:
        yield apps.get_app_config("taskdog")

    with mock.patch.object(apps, "get_app_configs", taskdog_first):
        (message,) = check_installation()
    assert (message.id, message.is_serious()) == ("backups.W001", False)
    assert "'taskdog' is ready before it" in message.msg
    assert message.hint


def test_rest_framework_that_is_not_installed_is_a_warning(settings: Settings) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]
    (message,) = check_installation()
    assert (message.id, message.is_serious()) == ("backups.W010", False)
    assert "a browser can't show the upload form" in message.msg
    assert message.hint == "Add 'rest_framework' to INSTALLED_APPS."


def test_django_that_the_tests_do_not_run_with_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(django, "VERSION", (4, 2, 30, "final", 0))
    (message,) = check_installation()
    assert (message.id, message.is_serious()) == ("backups.W012", False)
    assert "Django 4.2.30 is older than 5.2" in message.msg
    assert message.hint


def test_checks_are_registered() -> None:
    registered = set(django_checks.registry.registry.get_checks())
    assert {check_settings, check_installation, keys.check_keys} <= registered
    assert {archive.check_archive} <= registered


def test_check_ids_are_unique() -> None:
    numbers = [
        node.value
        for module in (settings, keys, archive)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.removeprefix("backups.")[:2] in ("E0", "W0")
    ]
    assert sorted(set(numbers)) == sorted(numbers)
    assert len(numbers) > 20
