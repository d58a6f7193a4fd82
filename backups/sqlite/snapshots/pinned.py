"""
A finished snapshot that keeps a name for some minutes, so that a broken download can be continued.

The rest must come from the very same bytes: SQLite would find no fault in a database joined from
two snapshots, which has the rows of both.

    <db>.pinned-<hash of the caller and the id>    0600; only the caller knows the id

The process that took the snapshot owns the file by its lock, like any temporary file. It removes
the name when nobody has read the file for some minutes. If it is killed first, the next sweep does.
Other processes find the file by its name, and can finish reading after the name is removed.

The space is bounded: only the newest are pinned, as many as may be sent at once, and none that
would leave less free space than its own size, or than what is reserved for the site. If another
process removes the name, the file stays on the disk until its own process takes a snapshot, or its
time is over.
"""

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backups.disk import files
from backups.exceptions import SnapshotFailedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import sweep
from backups.sqlite.records.sent_snapshots import record_sent
from backups.store import Snapshot

HASH_UP_TO = 256 * 1024**2  # bytes: takes a second on a slow machine, before the first byte


class Pin:
    """The name and the file of one pinned snapshot, in the process that owns it."""

    def __init__(
        self, path: Path, descriptor: int, snapshot_id: str, seconds: float, floor: int = 0
    ) -> None:
        """Takes over the descriptor, whose lock makes the file ours."""
        self.id = snapshot_id
        self._path, self._descriptor, self._seconds, self._floor = path, descriptor, seconds, floor
        self._is_released = threading.Event()

    def release_later(self) -> None:
        """Remove the name once nobody has read the file for long; at once if space is short."""
        try:
            size = os.fstat(self._descriptor).st_size
            if files.has_room(self._path.parent, max(size, self._floor)):
                _touch(self._descriptor)
                threading.Thread(target=self._release_when_unread, daemon=True).start()
                with _lock:
                    _waiting.append(self)
                return
        except (OSError, RuntimeError):  # RuntimeError: no thread can be started
            pass
        self.release()

    def release(self) -> None:
        """Remove the name and close the file. Those who are reading it can finish."""
        with _lock:
            if self._is_released.is_set():
                return
            self._is_released.set()
            if self in _waiting:
                _waiting.remove(self)
            self.abandon()

    def abandon(self) -> None:
        """Release a pin that is not in ``_waiting``. The caller may hold ``_lock``."""
        with contextlib.suppress(OSError):  # the next sweep removes it
            if self.is_named():
                files.unlink(self._path)
        os.close(self._descriptor)

    def is_named(self) -> bool:
        """Whether the file still has this name, so that a download can be continued."""
        return files.is_named(self._path, self._descriptor)

    def _release_when_unread(self) -> None:
        left = self._seconds
        while 0 < left <= self._seconds:  # more only if the clock was set
            if self._is_released.wait(left):
                return
            with _lock:
                if self._is_released.is_set():
                    return
                left = os.fstat(self._descriptor).st_atime + self._seconds - time.time()
        self.release()


_waiting: list[Pin] = []  # this process's pins that a thread will release
_lock = threading.Lock()


def _release_nameless() -> None:
    """Release the pins whose name is gone: nobody can use their file any more."""
    with _lock:
        nameless = [pin for pin in _waiting if not pin.is_named()]
    for pin in nameless:
        pin.release()


@dataclass(frozen=True)
class Pinning:
    """For which caller and how long to pin a snapshot, and the most that may be pinned."""

    caller: str
    seconds: float
    most: int
    floor: int = 0  # how many free bytes of the disk are reserved for the site

    def pin(self, paths: StorePaths, file: Path, descriptor: int, taken_at: datetime) -> Pin | None:
        """
        Give a finished, locked snapshot its second name.

        :returns: None if the system refuses, e.g. because the file system has no links.
        """
        snapshot_id = secrets.token_hex(16)
        name = _name(paths, self.caller, snapshot_id)
        try:
            sweep(paths)
            for oldest in _by_age(paths)[: -self.most + 1 or None]:
                files.unlink(oldest)
            _release_nameless()
            _touch(descriptor, taken_at)
            files.link(file, name)
        except OSError:
            return None
        return Pin(name, os.dup(descriptor), snapshot_id, self.seconds, self.floor)


class PinnedSnapshot(Snapshot):
    """A part of a pinned snapshot, in any process."""

    method = "compact"

    def __init__(
        self, paths: StorePaths, descriptor: int, snapshot_id: str, first: int, last: int | None
    ) -> None:
        """Takes over the descriptor."""
        status = os.fstat(descriptor)
        self._paths, self._descriptor = paths, descriptor
        self.id = snapshot_id
        self.size = status.st_size
        self.first = first
        self._end = self.size if last is None else min(last + 1, self.size)
        self.last = self._end - 1
        self.taken_at = datetime.fromtimestamp(status.st_mtime, UTC)
        self.sha256 = _sha256(descriptor) if self.size <= HASH_UP_TO else None

    def __iter__(self) -> Iterator[bytes]:
        offset, end = self.first, self._end
        while offset < end:
            chunk = os.pread(self._descriptor, min(files.CHUNK_BYTES, end - offset), offset)
            if not chunk:
                raise SnapshotFailedError(f"The snapshot {self.id} ends after {offset:,} bytes.")
            offset += len(chunk)
            yield chunk
        if self.sha256 is not None and end == self.size:
            record_sent(self._paths, sha256=self.sha256, size=self.size)

    def close(self) -> None:
        if self._descriptor >= 0:
            _touch(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def find_pinned(
    paths: StorePaths, snapshot_id: str, *, caller: str, first: int, last: int | None
) -> PinnedSnapshot | None:
    """The snapshot of this id, if this caller took it and it is still there."""
    name = _name(paths, caller, snapshot_id)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        _touch(descriptor)
        return PinnedSnapshot(paths, descriptor, snapshot_id, first, last)
    except OSError:
        os.close(descriptor)
        return None


def _name(paths: StorePaths, caller: str, snapshot_id: str) -> Path:
    both = f"{caller}\0{snapshot_id}".encode("utf-8", "surrogatepass")
    return paths.pinned(hashlib.sha256(both).hexdigest()[:32])


def _by_age(paths: StorePaths) -> list[Path]:
    """All pinned snapshots, the one that was not read for the longest time first."""
    aged = []
    for path in paths.all_pinned():
        with contextlib.suppress(OSError):  # just removed
            aged.append((path.stat().st_atime, path))
    return [path for _, path in sorted(aged)]


def _touch(descriptor: int, taken_at: datetime | None = None) -> None:
    """Record that it is read now. Its modification time says when it was taken."""
    written = os.fstat(descriptor).st_mtime if taken_at is None else taken_at.timestamp()
    with contextlib.suppress(OSError):  # another user's: it can be read, but is removed earlier
        os.utime(descriptor, (time.time(), written))


def _sha256(descriptor: int) -> str:
    with open(os.dup(descriptor), "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
