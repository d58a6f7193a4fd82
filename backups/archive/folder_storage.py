"""A folder as the storage of backups. A file gets its name once it is whole and on the disk."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from backups.conf import conf
from backups.disk import atomic_file, files
from backups.disk.room import floor_of, leaving_room
from backups.exceptions import (
    DestinationError,
    NotEnoughSpaceError,
    StorageError,
    StorageFullError,
)


class FolderStorage(FileSystemStorage):
    """
    Files that only their owner can read (0600), in a folder of their own (0700). What root makes
    goes to the owner of the folder above, so that the site can read it.

    A file is written under another name, synced, and then renamed: no crash leaves a part of a
    file under its final name. A new file never replaces another. BACKUPS_KEEP_FREE_BYTES of the
    disk stay free for the site.
    """

    is_local = True

    def __init__(self, location: str | Path | None = None, **options: Any) -> None:
        """Creates nothing yet."""
        super().__init__(location=location, **options)
        self.folder = Path(self.location)

    @property
    def where(self) -> str:
        """The folder, for a message."""
        return f"the folder {self.folder}"

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself, even if it is taken: then ``save`` refuses."""
        return name

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in place of another. The old one stays until the new one is whole."""
        self._write([content], name, overwrite=True)

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from ``first`` to ``last``, both included; to the end if ``last`` is None."""
        with self._path(name).open("rb") as file:
            yield from files.chunks_of(file, first, last)

    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by its name."""
        found = {}
        try:
            entries = os.scandir(self.folder)
        except FileNotFoundError:  # nothing was stored yet
            return {}
        with entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # just deleted: the others are still there
                    if entry.is_file() and not atomic_file.PART.fullmatch(entry.name):
                        found[entry.name] = entry.stat().st_size
        return found

    def delete(self, name: str) -> None:
        """Remove a file. Once this returns, no crash brings it back."""
        if files.unlink(self._path(name)):
            files.sync_folder(self._path(name).parent)

    def _save(self, name: str, content: "File[Any]") -> str:
        folder = self._path(name).parent
        chunks = leaving_room(
            content.chunks(), _existing(folder), floor=floor_of(folder, conf.keep_free_bytes)
        )
        self._write(chunks, name, overwrite=False)
        return name

    def _write(self, chunks: Any, name: str, *, overwrite: bool) -> None:
        path = self._path(name)
        _make(path.parent)
        if not overwrite and path.exists():
            raise FileExistsError(name)
        try:
            atomic_file.save(chunks, path, overwrite=overwrite, owner_of=path.parent)
        except NotEnoughSpaceError as error:
            raise StorageFullError(
                f"{path} could not be written: {error}", hint=error.hint
            ) from error
        except DestinationError as error:
            if not overwrite and path.exists():
                raise FileExistsError(name) from error
            raise StorageError(
                str(error), hint="Check the owner, the mode and the disk of the folder."
            ) from error

    def _path(self, name: str) -> Path:
        return Path(self.path(name))


def _make(folder: Path) -> None:
    """Make the folder and the missing ones above it, for their owner alone (0700)."""
    if folder.is_dir():
        return
    _make(folder.parent)
    try:
        os.close(files.create_private_folder(folder, owner_of=folder.parent))
        files.sync_folder(folder.parent)
    except FileExistsError as error:  # a link to nothing, e.g. to a disk that is not mounted
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder") from error


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
