"""A folder as storage that waits in the middle of a file, as a slow storage far away does."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.base import File

from backups.archive.folder_storage import FolderStorage

GATE = "gate"  # a file in the folder above; while it is there, nothing gets through
REACHED = "gate.reached"  # appears once somebody waits


class GatedStorage(FolderStorage):
    """Lets the first bytes of a stored file through, and the rest when the gate is open."""

    def _save(self, name: str, content: "File[Any]") -> str:
        if name.endswith(".json"):
            return super()._save(name, content)
        return super()._save(name, Gated(content, self.folder.parent))


class Gated(File):  # type: ignore[type-arg]
    """The content of another file, behind a gate."""

    def __init__(self, content: "File[Any]", folder: Path) -> None:
        """Reads nothing yet."""
        super().__init__(content.file, content.name)
        self._content, self._folder = content, folder

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The chunks, once the gate is open."""
        for number, chunk in enumerate(self._content.chunks()):
            if not number and (self._folder / GATE).exists():
                (self._folder / REACHED).touch()
                while (self._folder / GATE).exists():
                    time.sleep(0.01)
            yield chunk
