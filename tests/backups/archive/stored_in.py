"""Where the site of a test stores its backups."""

from typing import Any

from django.core.files.storage import Storage
from pytest_django import Settings

from backups.archive.folder_storage import FolderStorage


def store_in(settings: Settings, storage: type[Storage] = FolderStorage, **options: Any) -> None:
    """Let the site store them in a storage of this class with these options."""
    backend = f"{storage.__module__}.{storage.__qualname__}"
    backups = {"BACKEND": backend, "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "backups": backups}
