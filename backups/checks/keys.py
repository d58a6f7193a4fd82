"""Checks of the API keys of this site and of a remote one, and of their settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from backups.client.key_header import header_parts
from backups.conf import conf
from backups.disk.private_files import group_may_replace
from backups.exceptions import BackupError
from backups.keys.api_keys import BACKUP, METRICS, RESTORE, read_keys
from backups.site.local_store import key_file


def check_keys(**_: Any) -> list[CheckMessage]:
    """Check the settings, then the file. Changes nothing."""
    return [*_scopes(), *_header(), *(list(_place()) or _file())]


def _scopes() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_EXTRA_SCOPES", ())
    if isinstance(given, list | tuple) and all(map(_is_scope, given)):
        return
    yield Error(
        f"BACKUPS_EXTRA_SCOPES is {given!r}, which is not a list of names.",
        hint="List the scopes that a key may have besides 'backup', 'restore' and 'metrics', e.g."
        " ['reports'].",
        id="backups.E020",
    )


def _is_scope(given: object) -> bool:
    """A scope is one word, so that a list of scopes can be read."""
    if not isinstance(given, str) or given in (BACKUP, METRICS, RESTORE):
        return False
    return given.isprintable() and given.split() == [given]


def _header() -> Iterator[CheckMessage]:
    if header_parts(conf.remote_header) is not None:
        return
    yield Error(
        # Don't quote the value: somebody may have put the key there.
        "BACKUPS_REMOTE_HEADER is not the name of a header, with or without a scheme.",
        hint="Set one such as 'X-Api-Key' or 'Authorization: Token'. The key itself goes into"
        " BACKUPS_REMOTE_KEY.",
        id="backups.E021",
    )


def _place() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_KEY_FILE", None)
    if not given or (isinstance(given, str | Path) and Path(given).is_absolute()):
        return
    yield Error(
        f"BACKUPS_KEY_FILE is {given!r}, which is not the full path of a file.",
        hint="Set an absolute path, or remove the setting: then the keys are beside the database,"
        " or in BACKUPS_FOLDER if it has no file.",
        id="backups.E022",
    )


def _file() -> Iterator[CheckMessage]:
    """Only a warning: every key is refused, so the site is as safe as without keys."""
    path = key_file()
    try:
        if path is not None and read_keys(path):
            yield from _folder(path)
    except BackupError as error:
        yield CheckWarning(str(error), hint=error.hint, id="backups.W013")


def _folder(path: Path) -> Iterator[CheckMessage]:
    """Only a warning: members of the group can remove keys, but no server accepts theirs."""
    if (folder := group_may_replace(path)) is None:
        return
    yield CheckWarning(
        f"The folder {folder} is open to its group: every member may remove or replace the"
        " API key file.",
        hint=f"Close it with: chmod g-w '{folder}'. Or keep the keys in a separate folder:"
        " set BACKUPS_KEY_FILE.",
        id="backups.W050",
    )
