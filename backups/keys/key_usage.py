"""
When each API key was last used: the time of an empty file in the folder ``<key file>.used``.

Setting a file's time needs no lock and no space, so processes can't overwrite each other's notes,
and it works on a full disk. Each file is named after the first digits of its key's hash. If a use
can't be noted, the request still succeeds: the key was right.
"""

import contextlib
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from backups.disk.refusals import warn

EVERY = 60.0  # seconds: precise enough for a person, and hardly any work for a disk


class KeyUsage:
    """Notes the use of each key, at most once a minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[Path, float] = {}

    def note(self, key_file: Path, sha256: str) -> None:
        """Note that a key is used now. If that fails, the log says so, once."""
        mark = _mark(key_file, sha256)
        if self._is_due(mark):
            try:
                _touch(mark)
            except OSError as error:
                warn(
                    key_file.parent,
                    f"the last use of API keys can't be noted there ({error.strerror})."
                    " manage.py api_keys shows what was noted before.",
                )

    def _is_due(self, mark: Path) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(mark, -EVERY) < EVERY:
                return False
            self._noted[mark] = now
            return True


def last_used(key_file: Path, sha256: str) -> datetime | None:
    """When a key was last used, to the minute; None if never, or if that is unknown."""
    try:
        return datetime.fromtimestamp(os.lstat(_mark(key_file, sha256)).st_mtime, UTC)
    except OSError:
        return None


def forget(key_file: Path, sha256: str) -> None:
    """Remove the note of a key that is gone. It does no harm if this fails."""
    with contextlib.suppress(OSError):
        os.unlink(_mark(key_file, sha256))


def _mark(key_file: Path, sha256: str) -> Path:
    return key_file.with_name(f"{key_file.name}.used") / sha256[:16]


def _touch(mark: Path) -> None:
    try:
        os.utime(mark, follow_symlinks=False)
    except FileNotFoundError:
        mark.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        os.utime(mark)


key_usage = KeyUsage()
