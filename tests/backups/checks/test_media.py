from pathlib import Path

import pytest
from pytest_django import Settings

from backups.checks.media import check_media_settings

FILE_SYSTEM = "django.core.files.storage.FileSystemStorage"


def ids(settings: Settings, **given: object) -> list[str | None]:
    """What the checks find with these settings."""
    for name, value in given.items():
        setattr(settings, name, value)
    return [message.id for message in check_media_settings()]


def test_a_site_without_media_files_hears_nothing(settings: Settings) -> None:
    assert ids(settings, MEDIA_ROOT="") == []


def test_a_folder_of_media_files_suits(settings: Settings, tmp_path: Path) -> None:
    given = {"BACKUPS_MEDIA": True, "BACKUPS_MEDIA_LEAVE_OUT": ["*.tmp"]}
    assert ids(settings, MEDIA_ROOT=str(tmp_path), **given) == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("BACKUPS_MEDIA", "yes", "E110"),
        ("BACKUPS_MEDIA_LEAVE_OUT", "*.tmp", "E111"),
        ("BACKUPS_MEDIA_LEAVE_OUT", [1], "E111"),
        ("MEDIA_ROOT", "", "E112"),
        ("STORAGES", {"default": {"BACKEND": "no.such.Storage"}}, "E112"),
    ],
)
def test_each_wrong_setting_is_named(
    settings: Settings, tmp_path: Path, name: str, value: object, number: str
) -> None:
    good = {"BACKUPS_MEDIA": True, "MEDIA_ROOT": str(tmp_path)}
    assert ids(settings, **{**good, name: value}) == [f"backups.{number}"]
