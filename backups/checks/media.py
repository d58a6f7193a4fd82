"""Checks of the settings of media files, which are stored with snapshots."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from backups.archive.services import check_media_storage
from backups.conf import conf
from backups.exceptions import BackupError


def check_media_settings(**_: Any) -> list[CheckMessage]:
    """Check the settings and the storage, but ask the storage nothing."""
    return [*_switch(), *_patterns(), *_storage()]


def _switch() -> Iterator[CheckMessage]:
    if not isinstance(value := getattr(settings, "BACKUPS_MEDIA", False), bool):
        yield Error(
            f"BACKUPS_MEDIA should be True or False, not {value!r}.",
            hint="Remove it to leave media files out of the backups.",
            id="backups.E110",
        )


def _patterns() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_MEDIA_LEAVE_OUT", ())
    if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
        return
    yield Error(
        f"BACKUPS_MEDIA_LEAVE_OUT should be a list of patterns, not {given!r}.",
        hint="List them, e.g. ['thumbnails/*'].",
        id="backups.E111",
    )


def _storage() -> Iterator[CheckMessage]:
    if not conf.media:
        return
    try:
        check_media_storage()
    except BackupError as error:
        yield Error(str(error), hint=error.hint, id="backups.E112")
