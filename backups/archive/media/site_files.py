"""The site's media files: what is in its default storage, of any kind."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.files.storage.handler import InvalidStorageError

from backups.archive.media.disk_file import make_folder, save
from backups.archive.media.lists import is_own
from backups.conf import conf
from backups.disk.atomic_file import PART
from backups.disk.files import CHUNK_BYTES
from backups.disk.room import floor_of, leaving_room
from backups.exceptions import StorageError
from backups.site.own_files import OwnFiles

Identity = tuple[int, int]  # of a file or a folder on a disk: its device and its inode


class UnreadableFileError(Exception):
    """A media file can't be read. The message is a sentence."""


@dataclass(frozen=True)
class Look:
    """What a short look at a file shows, without reading it."""

    stamp: str  # changes with the content; empty if the storage can't tell
    modified: datetime | None  # UTC


class SiteFiles:
    """The files in the default storage, by their names in it: ``photos/a.jpg``."""

    def __init__(self, storage: Storage, *, is_left_out: Callable[[str], bool]) -> None:
        """
        Asks the storage nothing yet.

        :param is_left_out: tells whether a name is left out. The name of a folder ends with a
            slash.
        """
        self._storage: Any = storage
        self._is_left_out = is_left_out
        # These are never opened: closing any descriptor of the live database drops our locks on it.
        self._own = OwnFiles()
        kind = type(storage)
        # Whether the files on the disk have the names and the contents that the storage shows.
        self._is_plain = isinstance(storage, FileSystemStorage) and (
            (kind._open, kind._save) == (FileSystemStorage._open, FileSystemStorage._save)  # type: ignore[attr-defined]
        )

    @property
    def where(self) -> str:
        """The storage, for a message."""
        if self._is_plain:
            return f"the folder {self._storage.location}"
        return f"the default storage ({type(self._storage).__name__})"

    def check(self) -> None:
        """:raises StorageError: MEDIA_ROOT is not set: the current folder would be the media."""
        if self._is_plain and not self._storage.base_location:
            raise StorageError(
                f"MEDIA_ROOT is not set, so all files below {self._storage.location} would be media"
                " files.",
                hint="Set MEDIA_ROOT to the folder of the media files.",
            )

    def names(self, warn: Callable[[str], None]) -> Iterator[str]:
        """
        The name of each file, folder by folder.

        :param warn: gets a sentence about each folder that can't be listed.
        :raises StorageError: the topmost folder can't be listed.
        """
        folders: list[tuple[str, tuple[Identity, ...]]] = [("", ())]
        while folders:
            folder, above = folders.pop()
            try:
                here = self._identity(folder)
                if here in above or (folder and self._is_plain and self._is_own(folder)):
                    continue  # a link that leads back up, or the backups themselves
                inner, names = self._storage.listdir(folder)
            except Exception as error:
                if not folder and not isinstance(error, FileNotFoundError):
                    raise StorageError(
                        f"The media files in {self.where} can't be listed: {_words(error)}.",
                        hint="Check STORAGES['default'].",
                    ) from error
                warn(f"{folder or self.where} can't be listed: {_words(error)}.")
                continue
            inside = above if here is None else (*above, here)
            for name in sorted(names):
                if name and not self._is_left_out(path := _join(folder, name)):
                    yield path
            for name in sorted(inner, reverse=True):
                if name and not self._is_left_out(f"{(path := _join(folder, name))}/"):
                    folders.append((path, inside))

    def look(self, name: str) -> Look | None:
        """
        A short look at a file; None if it is gone, or is one of the site's own files.

        :raises UnreadableFileError: the storage can't say, or it is not a file.
        """
        try:
            return self._look_on_disk(name) if self._is_plain else self._ask(name)
        except FileNotFoundError:
            return None
        except UnreadableFileError:
            raise
        except Exception as error:
            with suppress(Exception):
                if not self._storage.exists(name):
                    return None
            raise UnreadableFileError(f"{name} can't be read: {_words(error)}.") from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Its bytes. :raises UnreadableFileError: it can't be read, also in the middle."""
        try:
            with closing(self._storage.open(name, "rb")) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except Exception as error:
            raise UnreadableFileError(f"{name} can't be read: {_words(error)}.") from error

    def check_free(self, name: str) -> None:
        """
        Refuse a name that no media file may have: outside of the storage, or one of our own.

        :raises ValueError: a sentence says why.
        """
        parts = name.split("/")
        if "\0" in name or not all(parts) or {".", ".."} & set(parts):
            raise ValueError(f"{name!r} can't be the name of a file in a storage.")
        if self._is_left_out(name) or any(
            self._is_left_out("/".join(parts[:count]) + "/") for count in range(1, len(parts))
        ):
            raise ValueError(f"{name!r} is left out: it is not a media file of this site.")
        if not self._is_plain and "\\" in name:
            raise ValueError(f"{name!r} has a backslash, which Django turns into a slash.")
        if self._is_plain and any(
            self._is_own("/".join(parts[:count])) for count in range(1, len(parts) + 1)
        ):
            raise ValueError(f"{name!r} is one of this site's own files, or in a folder of them.")

    def save(
        self, name: str, chunks: Iterable[bytes], *, modified: datetime | None, overwrite: bool
    ) -> None:
        """
        Write a file. It gets its name only after the last chunk.

        :raises FileExistsError: the name is taken.
        :raises Exception: an error of the chunks or of the storage. No file has the name then.
        """
        if self._is_plain:
            path, root = Path(self._path(name)), Path(self._storage.location)
            make_folder(path.parent, root, mode=self._storage.directory_permissions_mode)
            mode = self._storage.file_permissions_mode
            save(chunks, path, mode=mode, modified=modified, overwrite=overwrite)
            return
        with tempfile.TemporaryFile() as spool:
            folder = Path(tempfile.gettempdir())
            spool.writelines(
                leaving_room(chunks, folder, floor=floor_of(folder, conf.keep_free_bytes))
            )
            try:
                saved = self._put(name, spool, overwrite=overwrite)
            except Exception:
                if not overwrite:
                    raise
                saved = self._put(name, spool, overwrite=True)  # what it replaces is gone by now
        if saved != name:  # somebody has just taken it
            self._storage.delete(saved)
            raise FileExistsError(name)

    def _put(self, name: str, spool: IO[bytes], *, overwrite: bool) -> str:
        if overwrite:
            self._storage.delete(name)
        spool.seek(0)
        return str(self._storage.save(name, File(spool, name)))

    def _look_on_disk(self, name: str) -> Look | None:
        path = self._path(name)
        status = os.stat(path)
        if self._own.has(path, status):
            return None
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFileError(f"{name} is not a file.")
        # A program can set back a file's time of modification, but not its time of change.
        stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        return Look(stamp, datetime.fromtimestamp(status.st_mtime, UTC))

    def _ask(self, name: str) -> Look:
        size = self._storage.size(name)
        try:
            modified = self._storage.get_modified_time(name)
        except NotImplementedError:
            return Look("", None)
        if modified.tzinfo is None:  # USE_TZ is off
            modified = modified.astimezone()
        return Look(f"{size} {modified.isoformat()}", modified.astimezone(UTC))

    def _identity(self, folder: str) -> Identity | None:
        if not self._is_plain:
            return None
        status = os.stat(self._path(folder))
        return status.st_dev, status.st_ino

    def _is_own(self, name: str) -> bool:
        path = self._path(name)
        try:
            return self._own.has(path, os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return self._own.has(path)

    def _path(self, name: str) -> str:
        path: str = self._storage.path(name)
        return path


def get_site_files(prefix: str, *, patterns: Sequence[str] = ()) -> SiteFiles:
    """
    The site's media files, without those of the backups. Asks the storage nothing yet.

    :param patterns: of the names of more files that are left out.
    :raises StorageError: the setting names no storage.
    """

    def is_left_out(name: str) -> bool:
        if is_own(prefix, name) or PART.fullmatch(name):  # PART: a file that is being restored
            return True
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    try:
        storage = storages["default"]
    except (InvalidStorageError, ImportError, TypeError) as error:
        raise StorageError(
            f"STORAGES['default'] names no storage: {error}.", hint="Correct that setting."
        ) from error
    return SiteFiles(storage, is_left_out=is_left_out)


def check_media_storage() -> None:
    """
    Check that the default storage can have the media files. Asks it nothing.

    :raises StorageError: MEDIA_ROOT is not set, or the setting names no storage.
    """
    get_site_files("").check()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:300].rstrip(".") or type(error).__name__
