"""Checks of where backups are stored, and of how they are packed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from backups.archive.encryption import read_recipient
from backups.archive.storage import ALIAS, StoredFiles, get_files
from backups.conf import conf
from backups.exceptions import ArchiveError, BackupError

SETTING = f"STORAGES['{ALIAS}']"
HIGHEST_LEVEL = 22
# The option has another name in some classes of django-storages.
OVERWRITE = ("file_overwrite", "overwrite_files")


def check_archive(**_: Any) -> list[CheckMessage]:
    """Check the settings and the storage, but ask the storage nothing."""
    return [*_level(), *_recipients(), *_storage()]


def _level() -> Iterator[CheckMessage]:
    level = getattr(settings, "BACKUPS_COMPRESSION_LEVEL", 1)
    if isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= HIGHEST_LEVEL:
        return
    yield Error(
        f"BACKUPS_COMPRESSION_LEVEL should be a whole number from 1 to {HIGHEST_LEVEL},"
        f" not {level!r}.",
        hint="Remove it to use the default, 3.",
        id="backups.E100",
    )


def _recipients() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_RECIPIENTS", ())
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        yield Error(
            # Don't quote the value: somebody may have put a secret key there.
            "BACKUPS_RECIPIENTS is not a list of public keys.",
            hint="List them, e.g. ['age1…']. Make a pair of keys with: manage.py backups keygen",
            id="backups.E101",
        )
        return
    for each in given:
        try:
            read_recipient(each)
        except ArchiveError as error:
            yield Error(str(error), hint=error.hint, id="backups.E102")


def _storage() -> Iterator[CheckMessage]:
    try:
        files = get_files()
    except ArchiveError as error:
        yield Error(str(error), hint=error.hint, id="backups.E103")
    except BackupError:  # no database in a file: other checks say so
        return
    else:
        yield from _overwriting(files.storage)
        yield from _memory(files.storage)
        yield from _unencrypted(files)
        yield from _served(files.storage)


def _overwriting(storage: Any) -> Iterator[CheckMessage]:
    for name in OVERWRITE:
        if getattr(storage, name, False):
            yield Error(
                f"The storage of {SETTING} replaces a file that has the same name: one backup could"
                " replace another.",
                hint=f"Set its option {name} to False.",
                id="backups.E104",
            )


def _memory(storage: Any) -> Iterator[CheckMessage]:
    if getattr(storage, "max_memory_size", 1):
        return
    yield CheckWarning(
        f"The storage of {SETTING} reads a whole backup into memory before its first byte.",
        hint="Set its option max_memory_size, e.g. to 8 * 1024**2: then it uses a temporary file.",
        id="backups.W100",
    )


def _unencrypted(files: StoredFiles) -> Iterator[CheckMessage]:
    if files.is_local or conf.recipients:
        return
    yield CheckWarning(
        "Backups leave this machine unencrypted: whoever can read"
        f" {files.where} can read every row.",
        hint="Make a pair of keys with manage.py backups keygen, then set BACKUPS_RECIPIENTS.",
        id="backups.W101",
    )


def _served(storage: Any) -> Iterator[CheckMessage]:
    if str(getattr(storage, "default_acl", None)).startswith("public"):
        yield Error(
            f"The storage of {SETTING} lets the whole world read each backup.",
            hint="Set its option default_acl to 'private'.",
            id="backups.E105",
        )
    folder = getattr(storage, "location", None)
    if not isinstance(folder, str | Path) or not Path(folder).is_absolute():
        return
    for name, served in _served_folders():
        if served in (Path(folder).resolve(), *Path(folder).resolve().parents):
            yield Error(
                f"The backups are stored in {folder}, which is inside {name}: the site serves them"
                " to the whole world.",
                hint="Store them elsewhere, and remove those that are there.",
                id="backups.E106",
            )


def _served_folders() -> Iterator[tuple[str, Path]]:
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        if path := getattr(settings, name, None):
            yield name, Path(path).resolve()
    for each in getattr(settings, "STATICFILES_DIRS", ()):
        yield (
            "STATICFILES_DIRS",
            Path(each[1] if isinstance(each, list | tuple) else each).resolve(),
        )
