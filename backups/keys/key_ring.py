"""The API keys as the running server knows them: read again whenever their file changes."""

import logging
import os
import threading
from pathlib import Path

from backups.disk.private_files import FileState, file_state
from backups.exceptions import KeyFileError
from backups.keys import api_keys
from backups.keys.api_keys import ApiKey

logger = logging.getLogger(__name__)

Keys = tuple[ApiKey, ...]
Folder = tuple[int, int]  # its mode and its owner


class KeyRing:
    """
    Remembers the keys of a file, and the state of the file that they were read from.

    Threads share one; a lock lets one of them read at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: tuple[Path, FileState | None, Folder | None] | None = None
        self._keys: Keys | None = None

    def keys(self, path: Path) -> Keys | None:
        """
        Tell the keys that hold now, after two ``stat`` if file and folder are as they were.

        :returns: empty if there is no file; None if it is not usable, so that every key is to
            be refused. The log says why, once per change of the file.
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
    """Of the folder only what decides who may replace the file: its times change with each name."""
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
