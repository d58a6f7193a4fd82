"""
The port to the storage of stored snapshots: any Django storage, named by STORAGES["backups"].

A storage may have more than Django's ``Storage`` has. If it has these, they are used:

    where            a property: "the folder /srv/backups", for messages
    is_local         a property: whether its files are on a disk of this machine
    sizes()          the size of each file in bytes, by its name, from one look
    read(name, first, last)   the bytes between two offsets, both included, in chunks
    replace(name, content)    write a small file in place of the one that has the name
    claimed()        the names of files that are being written, or were when a process was killed
    save(name, content)       may ask ``content.at_most`` how many bytes can come: 0 if unknown
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.files.storage.handler import InvalidStorageError

from backups.archive.folder_storage import FolderStorage
from backups.archive.piped import ChunkReader, SourceFile
from backups.disk.files import chunks_of
from backups.exceptions import BackupError, StorageError
from backups.site import local_store

ALIAS = "backups"  # in STORAGES


class StoredFiles:
    """The files in one storage. Each method raises StorageError for any error of the storage."""

    def __init__(self, storage: Storage) -> None:
        """Asks the storage nothing yet."""
        self.storage: Any = storage

    @property
    def where(self) -> str:
        """The storage, for a message: ``the folder /srv/backups``."""
        if where := getattr(self.storage, "where", None):
            return str(where)
        location = getattr(self.storage, "location", None)
        bucket = getattr(self.storage, "bucket_name", None)
        known = " ".join(str(each) for each in (bucket, location) if each)
        return f"{type(self.storage).__name__} {known}".strip()

    @property
    def is_local(self) -> bool:
        """Whether its files are on a disk of this machine."""
        is_file_system = isinstance(self.storage, FileSystemStorage)
        return bool(getattr(self.storage, "is_local", is_file_system))

    def create(self, name: str, chunks: Iterable[bytes], *, at_most: int = 0) -> None:
        """
        Write a new file. It has its name only once it is whole.

        :param at_most: how many bytes can come; 0 if nobody knows.
        :raises BackupError: of the chunks; then there is no file.
        :raises FileExistsError: the name is taken.
        """
        source = ChunkReader(chunks)
        with self._explained(f"{name} could not be written", source):
            # Never by open(name, "wb"): where that is a block which fails, a torso would stay.
            saved = self.storage.save(name, SourceFile(source, name, at_most))
        if saved != name:  # another has just taken it
            self.delete(saved)
            raise FileExistsError(name)
        if not source.is_at_end:  # the storage took a short read or an error for the end
            self.delete(name)
            raise source.error or StorageError(
                f"{self.where}: {name} was not read to its end, so the storage had a part of it.",
                hint="Do not rely on this storage.",
            )

    def replace(self, name: str, content: bytes) -> None:
        """
        Write a small file, in place of one that has the name.

        :raises StorageError: it can't be written. If the storage can't replace a file in one step,
            the old one may be gone too: the message says so.
        """
        with self._explained(f"{name} could not be written"):
            if hasattr(self.storage, "replace"):
                self.storage.replace(name, content)
                return
            old = self.read(name) if self.storage.exists(name) else None
            if old is not None:
                self.storage.delete(name)
        for _ in range(2):
            try:
                return self._put(name, content)
            except StorageError as error:
                failure = error
        if old is not None:
            self._put_back(name, old, failure)
        raise failure

    def _put(self, name: str, content: bytes) -> None:
        with self._explained(f"{name} could not be written"):
            if self.storage.exists(name):  # a part of it, from a try that failed
                self.storage.delete(name)
            self.storage.save(name, ContentFile(content, name))

    def _put_back(self, name: str, old: bytes, failure: StorageError) -> None:
        try:
            self._put(name, old)
        except StorageError as error:
            raise StorageError(
                f"{failure} The earlier {name} is gone: it could not be put back.",
                hint="The other files are as they were. Mend the storage, then look at them with"
                " manage.py backups list.",
            ) from error

    def read(self, name: str) -> bytes:
        """All of a small file."""
        return b"".join(self.chunks(name))

    def chunks(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """
        The bytes of a file from ``first`` to ``last``, both included; to its end if that is None.
        """
        with self._explained(f"{name} could not be read"):
            if hasattr(self.storage, "read"):
                yield from self.storage.read(name, first, last)
                return
            with closing(self.storage.open(name, "rb")) as file:
                yield from chunks_of(file, first, last)

    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by its name; empty if there is nothing yet."""
        with self._explained("its files could not be listed"):
            if hasattr(self.storage, "sizes"):
                return {str(name): int(size) for name, size in self.storage.sizes().items()}
            try:
                _, names = self.storage.listdir("")
            except FileNotFoundError:
                return {}
            return {name: int(self.storage.size(name)) for name in names}

    def taken(self) -> set[str]:
        """The names that no new file can have: of files that are stored, or are being stored."""
        with self._explained("its files could not be listed"):
            claimed = self.storage.claimed() if hasattr(self.storage, "claimed") else ()
            return {*claimed, *self.sizes()}

    def listed(self, folder: str) -> tuple[list[str], list[str]]:
        """The names of the folders and of the files in a folder; none if it does not exist."""
        with self._explained(f"its folder {folder} could not be listed"):
            try:
                folders, names = self.storage.listdir(folder)
            except FileNotFoundError:
                return [], []
            return list(folders), list(names)

    def size(self, name: str) -> int | None:
        """Its size in bytes; None if there is no such file."""
        with self._explained(f"{name} could not be found"):
            try:
                return int(self.storage.size(name))
            except FileNotFoundError:
                return None
            except Exception:
                if not self.storage.exists(name):
                    return None
                raise

    def delete(self, name: str) -> None:
        """Remove a file. Nothing happens if there is none."""
        with self._explained(f"{name} could not be deleted"), suppress(FileNotFoundError):
            self.storage.delete(name)

    @contextmanager
    def _explained(self, what: str, source: ChunkReader | None = None) -> Iterator[None]:
        try:
            yield
        except (BackupError, FileExistsError, GeneratorExit):
            raise
        except Exception as error:
            if source is not None and source.error is not None:
                raise source.error from error
            words = " ".join(str(error).split())[:300] or type(error).__name__
            raise StorageError(f"{self.where}: {what}: {words.rstrip('.')}.") from error


def get_files(database: str | None = None) -> StoredFiles:
    """
    Where the stored snapshots are: STORAGES["backups"], or else a folder beside the database.

    :raises StorageError: the setting names no storage.
    :raises BackupNotSupportedError: the database has no file behind it.
    """
    if ALIAS not in settings.STORAGES:
        return StoredFiles(FolderStorage(local_store.get_store(database).archive_folder()))
    try:
        storage = storages[ALIAS]
    except (InvalidStorageError, ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        raise StorageError(f"STORAGES['{ALIAS}'] names no storage: {error}.") from error
    if type(storage) is FileSystemStorage:  # it would write half a file under the final name
        storage = FolderStorage(os.fspath(storage.location))
    return StoredFiles(storage)
