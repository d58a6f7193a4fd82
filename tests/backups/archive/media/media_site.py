"""A site with media files in a folder, whose backups go to another folder."""

import hashlib
import json
import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from pytest_django import Settings

from backups.archive import services
from backups.archive.manifest import Media
from backups.archive.media.site_files import get_site_files
from backups.archive.services import MediaRestored
from backups.archive.storage import get_files
from backups.archive.unpacking import unpack
from tests.site import Site

FILE_SYSTEM = "django.core.files.storage.FileSystemStorage"


class EventfulStorage(FileSystemStorage):
    """Does something when one of its files is opened: ``on_open[name]``."""

    on_open: ClassVar[dict[str, Any]] = {}
    opened: ClassVar[list[str]] = []

    def open(self, name: str, mode: str = "rb") -> "File[Any]":
        self.opened.append(name)
        if happen := self.on_open.get(name):
            happen()
        return super().open(name, mode)


class OpaqueStorage(FileSystemStorage):
    """As one that is far away: it has no paths, and its files are other files on the disk."""

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        return super()._open(name, mode)  # type: ignore[misc,no-any-return]

    def _save(self, name: str, content: IO[Any]) -> str:
        return super()._save(name, content)  # type: ignore[misc,no-any-return]


@dataclass
class MediaSite:
    """The folders, and what a test does with them."""

    site: Site
    media: Path
    stored: Path
    settings: Settings

    def use(self, *, media: Path | None = None, storage: str = FILE_SYSTEM, **more: Any) -> None:
        """Let the site have its media files elsewhere, or in another kind of storage."""
        self.media = media or self.media
        name = f"{__name__}.{storage}" if "." not in storage else storage
        self.settings.MEDIA_ROOT = str(self.media)
        self.settings.STORAGES = {
            **self.settings.STORAGES,
            "default": {"BACKEND": name},
            "backups": {"BACKEND": FILE_SYSTEM, "OPTIONS": {"location": str(self.stored)}},
        }
        for name, value in more.items():
            setattr(self.settings, name, value)

    def write(self, files: dict[str, bytes]) -> None:
        """Write media files that were last modified some time ago."""
        for name, content in files.items():
            path = self.media / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (1_700_000_000, 1_700_000_000))

    def store(self, *, is_settled: bool = True, label: str | None = None) -> services.Stored:
        """Store a snapshot. Its row in the audit log is no change, if it is settled."""
        with services.settling() if is_settled else nullcontext():
            return services.store(by="tester", label=label)

    def restore(self, word: str = "latest", **options: Any) -> MediaRestored:
        """Put media files back."""
        return services.restore_media(word, by="tester", **options)

    def contents(self) -> set[str]:
        """The stored contents, by their names below their folder."""
        folder = self.stored / "taskdog-backup-media"
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def listed(self, stored: services.Stored, identity: Path | None = None) -> list[dict[str, Any]]:
        """What the list of a stored snapshot says, read as anybody can read it."""
        name = told(stored).list
        text = b"".join(unpack(get_files().chunks(name), name, identity_file=identity))
        return [json.loads(line) for line in text.splitlines()]

    def names(self) -> set[str]:
        """The names of the media files, as a backup sees them."""
        return set(get_site_files("taskdog-backup-").names(lambda sentence: None))


def told(stored: services.Stored) -> Media:
    """What its manifest says of media files."""
    assert stored.snapshot.manifest is not None
    media = stored.snapshot.manifest.media
    assert media is not None
    return media


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {
        os.fsencode(path.relative_to(folder)).decode("latin-1"): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def content_name(content: bytes) -> str:
    """Where an unencrypted content is stored."""
    sha256 = hashlib.sha256(content).hexdigest()
    return f"{sha256[:2]}/{sha256}.zst"


@pytest.fixture
def media(live: Site, tmp_path: Path, settings: Settings) -> MediaSite:
    """A site whose media files go along with its snapshots."""
    found = MediaSite(live, tmp_path / "media", tmp_path / "stored", settings)
    found.media.mkdir()
    found.use(BACKUPS_MEDIA=True)
    EventfulStorage.on_open, EventfulStorage.opened = {}, []
    return found
