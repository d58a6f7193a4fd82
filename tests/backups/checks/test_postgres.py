"""The checks of databases on servers: of settings alone, so that no server is needed."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core import checks as django_checks
from pytest_django import Settings

from backups.checks import postgres
from backups.checks.postgres import check_servers
from backups.exceptions import BackupNotSupportedError
from backups.site import local_store


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> dict[str, Any]:
    """What DATABASES has of the one database, which is on a server."""
    given = {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "OPTIONS": {}}
    found = {"default": SimpleNamespace(settings_dict=given)}
    monkeypatch.setattr(postgres, "connections", found)
    monkeypatch.setattr(local_store, "server_aliases", lambda: ["default"])
    monkeypatch.setattr(local_store, "get_store", lambda _: None)
    settings.BACKUPS_FOLDER = "/var/lib/site/backups"
    return given


def ids() -> list[str | None]:
    return [each.id for each in check_servers()]


def test_site_without_a_server_hears_nothing() -> None:
    assert check_servers() == []
    assert {check_servers} <= set(django_checks.registry.registry.get_checks())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"CONN_MAX_AGE": 60}, ["backups.W140"]),
        ({"CONN_MAX_AGE": None}, ["backups.W140"]),
        ({"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}, []),
        ({"OPTIONS": {"pool": True}}, ["backups.W140"]),
        ({"OPTIONS": {"pool": {"min_size": 2}}, "CONN_HEALTH_CHECKS": True}, []),
    ],
)
def test_connection_that_stays_open_has_to_be_checked(
    given: dict[str, Any], changes: dict[str, Any], found: list[str]
) -> None:
    given.update(changes)
    assert ids() == found
    for each in check_servers():
        assert '"CONN_HEALTH_CHECKS": True' in (each.hint or "")


def test_stored_snapshots_need_a_place(given: dict[str, Any], settings: Settings) -> None:
    settings.BACKUPS_FOLDER = None
    [found] = check_servers()
    assert found.id == "backups.W141"
    assert "BACKUPS_FOLDER" in (found.hint or "")
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    settings.STORAGES = {**settings.STORAGES, "backups": storage}
    assert ids() == []


def test_driver_that_django_does_not_need_is_an_error(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise BackupNotSupportedError("psycopg 3 is not installed.", hint="Install it.")

    monkeypatch.setattr(local_store, "get_store", missing)
    [found] = check_servers()
    assert (found.id, found.hint) == ("backups.E142", "Install it.")
    assert found.is_serious()
