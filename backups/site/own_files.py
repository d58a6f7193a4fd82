"""Compare a path that a person gives with the site's own files."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from backups.conf import conf
from backups.disk.file_locks import PRIVATE
from backups.exceptions import OwnFileError
from backups.site import local_store
from backups.site.local_store import key_file

SESSION_FILES = "django.contrib.sessions.backends.file"


def check_not_live(source: Path) -> None:
    """
    Refuse to read the live database as if it were a snapshot. Reads no content.

    Closing any descriptor of it would drop the locks of every connection in this process, and
    its newest rows may still be only in its WAL.

    :raises OwnFileError: ``source`` is the live database or one of SQLite's files beside it.
    """
    owns = [own for each in local_store.all_paths() for own in (each.database, *each.sidecars)]
    for own in owns:
        if own.exists() and source.exists() and own.samefile(source):
            raise OwnFileError(
                f"{source} is the live database, not a snapshot.",
                hint="Take a snapshot with: manage.py backup",
            )


def check_not_own(destination: Path) -> None:
    """
    Refuse to overwrite a file of this site: the live database, the files that belong to it, the API
    keys, login sessions in files, what BACKUPS_OWN_FILES names, and BACKUPS_FOLDER if it is in use.

    Compares the name, which may still be free, and the file itself, which may have another name
    here. Opens nothing.

    :raises OwnFileError: it is one of them, or in a folder that is.
    """
    for own in local_store.own_names():
        if _begins_as(destination, own):
            raise _reserved(destination, "files of the live database")
    for own in _other_names():
        if _begins_as(destination, own):
            raise _reserved(destination, "this site's own files")
    folder = Path(os.path.realpath(destination.parent))
    for own in _folders():
        if _is_at(destination, own) or any(
            _is_same(each, own) for each in (folder, *folder.parents)
        ):
            raise _reserved(destination, "this site's own files")
    for own in _files():
        if _is_same(destination, own):
            raise _reserved(destination, f"this site: it is the same file as {own}")


class OwnFiles:
    """Tells this site's own files and folders from others, where many are to be told."""

    def __init__(self) -> None:
        """Looks at those that exist now. Opens nothing."""
        self._starts = [(own.name, own) for own in (*local_store.own_names(), *_other_names())]
        self._existing = set()
        for own in _files():
            with suppress(OSError):
                self._existing.add(_identity(own.stat()))

    def has(self, path: str, status: os.stat_result | None = None) -> bool:
        """
        Whether this path is one of them, or would be by its name.

        :param status: what ``os.stat`` says of it; None if there is nothing.
        """
        if status is not None and _identity(status) in self._existing:
            return True
        name = os.path.basename(path)
        return any(
            name.startswith(start) and _begins_as(Path(path), own) for start, own in self._starts
        )


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _reserved(destination: Path, whom: str) -> OwnFileError:
    return OwnFileError(
        f"{destination} is reserved for {whom}.", hint="Choose another name, or another folder."
    )


def _other_names() -> Iterator[Path]:
    """What the paths of this site's other files begin with."""
    if keys := key_file():
        yield keys
    # The next holder of the folder's lock would remove a file of this name.
    databases = (path.folder for path in local_store.all_paths())
    yield from {folder / PRIVATE for folder in (*databases, *([keys.parent] if keys else ()))}
    if getattr(settings, "SESSION_ENGINE", "") == SESSION_FILES:
        folder = settings.SESSION_FILE_PATH or tempfile.gettempdir()
        yield Path(folder) / settings.SESSION_COOKIE_NAME


def _folders() -> tuple[Path, ...]:
    """What is this site's with all that is in it."""
    return (*conf.own_files, *local_store.own_folders())


def _files() -> Iterator[Path]:
    """Every existing file of this site."""
    for start in (*local_store.own_names(), *_other_names()):
        with suppress(OSError):
            yield from (each for each in start.parent.iterdir() if each.name.startswith(start.name))
    for own in _folders():
        yield own
        with suppress(OSError):  # it is not a folder
            yield from own.iterdir()


def _begins_as(destination: Path, own: Path) -> bool:
    return destination.name.startswith(own.name) and _is_same(destination.parent, own.parent)


def _is_at(destination: Path, own: Path) -> bool:
    return destination.name == own.name and _is_same(destination.parent, own.parent)


def _is_same(path: Path, own: Path) -> bool:
    """Whether both are the same file or folder, even through hard or symbolic links."""
    with suppress(OSError):  # one of them is not there
        return path.samefile(own)
    return False
