"""
When each API key was last used: the time of an empty file, in the folder ``<key file>.used``.

To set a file's time takes no lock and no room, so processes that serve at once can't undo what
another has noted, and it works on a full disk. Each file is called by the first digits of its
key's hash. What can't be noted fails no request: the key was right.
"""

import contextlib
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from backups.disk.refusals import warn

EVERY = 60.0  # seconds: more exact than a person asks, and nothing for a disk


class KeyUsage:
    """Notes the use of keys, of each at most once a minute. Threads share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[Path, float] = {}

    def note(self, key_file: Path, sha256: str) -> None:
        """Note that a key is used now. What can't be written is said in the log, once."""
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
    """When a key was last used, to the minute; None if never, or if it is not known."""
    try:
        return datetime.fromtimestamp(os.lstat(_mark(key_file, sha256)).st_mtime, UTC)
    except OSError:
        return None


def forget(key_file: Path, sha256: str) -> None:
    """Remove what was noted of a key that has ended. It does no harm if it stays."""
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
