"""
Backups in S3 or a compatible server, in Google Cloud Storage or in Azure, by obstore (extra s3).

    STORAGES = {"backups": {
        "BACKEND": "backups.archive.obstore_storage.ObstoreStorage",
        "OPTIONS": {"url": "s3://bucket/prefix", "endpoint": "https://s3.example.com"},
    }}

The keys come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and others
of that family.

A file appears when its upload is complete, never before. A small file goes in a single request with
``If-None-Match: *``, so that it replaces no other. A large file goes in parts, which can't have
that condition. So a small file, the *claim* on the name, goes before the parts, and is removed
after them: of two machines that store under the same name, only one gets the claim. Some servers
ignore the condition, so each upload first asks whether the name is taken.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import ceil
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.timezone import make_naive

from backups.archive import object_store
from backups.archive.piped import ChunkReader
from backups.disk.files import CHUNK_BYTES

PART_BYTES = 5 * 1024**2  # the least that S3 takes
MOST_PARTS = 9_000  # S3 takes 10,000, which is 50 GB: parts of a larger file are larger
PARTS_AT_ONCE = 1  # while the next one is filled: both are in memory
CLAIMS = "claims"  # a folder, which no listing of snapshots shows
CLAIM_LIFE = timedelta(days=1)  # an older claim is of a process that was killed


class ObstoreStorage(Storage):
    """
    An object store, as the storage of backups.

    Memory holds a few parts: of 5 MiB, up to 45 GB.
    """

    is_local = False

    def __init__(
        self,
        url: str,
        endpoint: str = "",
        *,
        allow_http: bool = False,
        timeout: float = 30,
        config: dict[str, Any] | None = None,
    ) -> None:
        """
        Asks the server nothing yet.

        :param url: ``s3://bucket/prefix``; ``gs://`` and ``az://`` too.
        :param endpoint: of a server that is not Amazon's.
        :param allow_http: whether the endpoint may be plain http. On this machine it always may.
        :param timeout: for how many seconds the server may be silent. On a slow line a part of
            5 MiB must get through in that time.
        :param config: more options of obstore, e.g. ``{"region": "eu-central-1"}``.
        :raises StorageError: the URL or the endpoint can't be used.
        :raises MissingPackageError: the extra ``s3`` is not installed.
        """
        self._obstore = object_store.load()
        self._store, self.where = object_store.connect(
            url, endpoint, config or {}, allow_http=allow_http, timeout=timeout
        )

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself, even if it is taken: then ``save`` refuses."""
        return name

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """In bytes. :raises FileNotFoundError: there is no such file."""
        return int(self._head(name)["size"])

    def get_modified_time(self, name: str) -> datetime:
        """When it was written. :raises FileNotFoundError: there is no such file."""
        moment: datetime = self._head(name)["last_modified"]
        return moment if settings.USE_TZ else make_naive(moment)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The folders and the files in a folder."""
        found = self._list(path)
        folders = [each.rpartition("/")[2] for each in found["common_prefixes"]]
        return folders, [each["path"].rpartition("/")[2] for each in found["objects"]]

    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by its name."""
        return {each["path"]: int(each["size"]) for each in self._list("")["objects"]}

    def claimed(self) -> Iterator[str]:
        """The names that uploads have claimed: those under way, and those that were killed."""
        for each in self._list(CLAIMS)["objects"]:
            yield each["path"].removeprefix(f"{CLAIMS}/")

    def delete(self, name: str) -> None:
        """Remove a file. Nothing happens if there is none."""
        with self._asking(), suppress(FileNotFoundError):
            self._obstore.delete(self._store, name)

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file, in place of one that has the name, in one step."""
        with self._asking():
            self._obstore.put(self._store, name, content, use_multipart=False)

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """
        The bytes from ``first`` to ``last``, both included; to the end if ``last`` is None.

        :raises FileNotFoundError: there is no such file.
        :raises OSError: the server fails. This can happen in the middle.
        """
        left = None if last is None else last + 1 - first
        for chunk in self._from(name, first):
            yield chunk if left is None else chunk[:left]
            if left is not None and (left := left - len(chunk)) <= 0:
                return

    def _from(self, name: str, first: int) -> Iterator[bytes]:
        with self._asking(name):
            got, skipped = self._get_from(name, first)
            for piece in got.stream(min_chunk_size=CHUNK_BYTES):
                chunk = bytes(piece)[skipped:]
                skipped = max(0, skipped - len(piece))
                if chunk:
                    yield chunk

    def _get_from(self, name: str, first: int) -> tuple[Any, int]:
        """The file from ``first`` on, or from its beginning; and how many of its bytes to skip."""
        if first:
            try:
                options = {"range": {"offset": first}}
                return self._obstore.get(self._store, name, options=options), 0
            except self._obstore.exceptions.GenericError as error:
                if "non-partial" not in str(error):  # a server without ranges sends the whole file
                    raise
        return self._obstore.get(self._store, name), first

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        self._head(name)
        return File(io.BufferedReader(ChunkReader(self.read(name)), CHUNK_BYTES), name)

    def _save(self, name: str, content: "File[Any]") -> str:
        if self.exists(name):
            raise FileExistsError(name)
        first, chunks = _first_part(content.chunks())
        if chunks is None:
            self._create(name, b"".join(first))
        else:
            with self._claimed(name):
                self._upload(
                    name, chain(_given_away(first), chunks), getattr(content, "at_most", 0)
                )
        return name

    def _create(self, name: str, content: bytes) -> None:
        with self._asking():
            try:
                self._obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except self._obstore.exceptions.AlreadyExistsError as error:
                raise FileExistsError(name) from error

    def _upload(self, name: str, chunks: Iterable[bytes], at_most: int) -> None:
        """In parts. Whatever goes wrong in the block, the server forgets them."""
        size = max(PART_BYTES, ceil(at_most / MOST_PARTS))
        with (
            self._asking(),
            self._obstore.open_writer(
                self._store, name, buffer_size=size, max_concurrency=PARTS_AT_ONCE
            ) as writer,
        ):
            for chunk in chunks:
                writer.write(chunk)
            if self.exists(name):
                raise FileExistsError(name)

    @contextmanager
    def _claimed(self, name: str) -> Iterator[None]:
        """Claim a name for the block. :raises FileExistsError: another upload has it."""
        self._forget_old_claims()
        claim = f"{CLAIMS}/{name}"
        self._create(claim, b"An upload of this name is under way.\n")
        try:
            yield
        finally:
            with suppress(OSError):  # these keys may not delete: an old claim does no harm
                self.delete(claim)

    def _forget_old_claims(self) -> None:
        oldest = datetime.now(UTC) - CLAIM_LIFE
        with suppress(OSError):
            for each in self._list(CLAIMS)["objects"]:
                if each["last_modified"] < oldest:
                    self.delete(each["path"])

    def _head(self, name: str) -> Any:
        with self._asking(name):
            return self._obstore.head(self._store, name)

    def _list(self, folder: str) -> Any:
        with self._asking():
            return self._obstore.list_with_delimiter(self._store, folder or None)

    @contextmanager
    def _asking(self, name: str | None = None) -> Iterator[None]:
        """
        Turn obstore's errors into those that Django's storages raise, in words of one line.

        :param name: the file that may be missing; None if that is an error like any other.
        """
        object_store.check_process()
        try:
            yield
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            if name is not None:
                raise FileNotFoundError(f"there is no {name}") from error
            raise OSError(object_store.explain(error)) from error
        except self._obstore.exceptions.BaseError as error:
            raise OSError(object_store.explain(error)) from error


def _first_part(chunks: Iterable[bytes]) -> tuple[list[bytes], Iterator[bytes] | None]:
    """What one part can hold, and the rest; None if that was all."""
    rest, first, size = iter(chunks), list[bytes](), 0
    for chunk in rest:
        first.append(chunk)
        size += len(chunk)
        if size > PART_BYTES:
            return first, rest
    return first, None


def _given_away(chunks: list[bytes]) -> Iterator[bytes]:
    """Each of them, and none of them stays in memory."""
    while chunks:
        yield chunks.pop(0)
