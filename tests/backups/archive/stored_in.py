"""Where the site of a test stores its backups, and what is there."""

from pathlib import Path
from typing import Any

from django.core.files.storage import Storage
from pytest_django import Settings

from backups.archive import names
from backups.archive.folder_storage import FolderStorage


def store_in(settings: Settings, storage: type[Storage] = FolderStorage, **options: Any) -> None:
    """Let the site store them in a storage of this class with these options."""
    backend = f"{storage.__module__}.{storage.__qualname__}"
    backups = {"BACKEND": backend, "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "backups": backups}


def stored_files(folder: Path, prefix: str = "taskdog-backup-") -> list[Path]:
    """The stored files in a folder, the oldest first: two of one second too."""
    found = {path: names.id_of(prefix, path.name) for path in folder.glob(f"{prefix}*")}
    stored = {path: snapshot_id for path, snapshot_id in found.items() if snapshot_id}
    return sorted(stored, key=lambda path: names.order_of(stored[path]))
