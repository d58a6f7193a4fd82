"""The API keys of the running server, read again whenever their file changes."""

import logging
import os
import threading
from pathlib import Path

from backups.disk.private_files import FileState, file_state
from backups.exceptions import KeyFileError
from backups.keys import api_keys
from backups.keys.api_keys import Keys

logger = logging.getLogger(__name__)

Folder = tuple[int, int]  # its mode and its owner


class KeyRing:
    """Remembers the keys of a file, and the file's state when they were read. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: tuple[Path, FileState | None, Folder | None] | None = None
        self._keys: Keys | None = None

    def keys(self, path: Path) -> Keys | None:
        """
        The keys that are in the file now. Costs two ``stat`` calls if nothing has changed.

        :returns: empty if there is no file; None if it is not usable: then every key must be
            refused. The log says why, once for each change of the file.
        """
        with self._lock:
            source = (path, _state(path), _folder(path))
            if source != self._source:
                self._keys = _read(path)
                # The state before reading: a change in between is seen the next time.
                self._source = source
            return self._keys


def _state(path: Path) -> FileState | None:
    try:
        return file_state(os.stat(path))
    except OSError:
        return None


def _folder(path: Path) -> Folder | None:
    """What decides who may replace the file. The folder's times change too often to compare."""
    try:
        status = os.stat(path.parent)
    except OSError:
        return None
    return status.st_mode, status.st_uid


def _read(path: Path) -> Keys | None:
    try:
        return api_keys.read_keys(path)
    except KeyFileError as error:
        logger.error("Every API key is refused until this is corrected. %s %s", error, error.hint)
        return None


key_ring = KeyRing()
