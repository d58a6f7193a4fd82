"""
A finished snapshot that keeps a name for some minutes, so that its rest can be asked for.

A download that breaks off can be continued with the rest of the very same bytes, and with nothing
else: two snapshots joined would be a database that SQLite finds whole, with the rows of both.

    <db>.pinned-<hash of the caller and the id>    0600; the id is known to the caller alone

The process that took the snapshot owns the file by its lock, as any temporary one, and removes
the name when nobody has read it for so long. Killed before that, it leaves the name to the next
sweep. Other processes find the file by its name, and go on reading once the name is gone.

What it costs is bounded: as many pinned snapshots as may be under way at once, the newest, and
none that would leave less free disk space than its own size, or than what is the site's. If another
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

HASH_UP_TO = 256 * 1024**2  # bytes: one second on a slow machine, before the first byte


class Pin:
    """The name of one snapshot, and the file. Its owner's."""

    def __init__(
        self, path: Path, descriptor: int, snapshot_id: str, seconds: float, floor: int = 0
    ) -> None:
        """Takes over the descriptor, whose lock makes the file ours."""
        self._floor = floor
        self.id = snapshot_id
        self._path, self._descriptor, self._seconds = path, descriptor, seconds
        self._is_released = threading.Event()

    def release_later(self) -> None:
        """Remove the name once nobody has read it for long; at once if the disk needs the room."""
        try:
            size = os.fstat(self._descriptor).st_size
            if files.has_room(self._path.parent, max(size, self._floor)):
                _touch(self._descriptor)
                threading.Thread(target=self._release_when_unread, daemon=True).start()
                with _lock:
                    _waiting.append(self)
                return
        except (OSError, RuntimeError):  # RuntimeError: no thread can be started any more
            pass
        self.release()

    def release(self) -> None:
        """Remove the name, and let the file go; who reads it reads on."""
        with _lock:
            if self._is_released.is_set():
                return
            self._is_released.set()
            if self in _waiting:
                _waiting.remove(self)
            self.abandon()

    def abandon(self) -> None:
        """Release one that nobody else knows of. Takes no lock, as one may be held."""
        with contextlib.suppress(OSError):  # a sweep finds what stays
            if self.is_named():
                files.unlink(self._path)
        os.close(self._descriptor)

    def is_named(self) -> bool:
        """Whether anybody can still ask for it."""
        return files.is_named(self._path, self._descriptor)

    def _release_when_unread(self) -> None:
        left = self._seconds
        while 0 < left <= self._seconds:  # not more: the clock may have been set
            if self._is_released.wait(left):
                return
            with _lock:
                if self._is_released.is_set():
                    return
                left = os.fstat(self._descriptor).st_atime + self._seconds - time.time()
        self.release()


_waiting: list[Pin] = []  # this process's, which nobody may have read for long
_lock = threading.Lock()


def _release_nameless() -> None:
    """Release those whose name is gone: they hold a file and a thread for nobody."""
    with _lock:
        nameless = [pin for pin in _waiting if not pin.is_named()]
    for pin in nameless:
        pin.release()


@dataclass(frozen=True)
class Pinning:
    """For whom a snapshot is pinned, how long, and how many there may be."""

    caller: str
    seconds: float
    most: int
    floor: int = 0  # bytes of the disk that are left to the site

    def pin(self, paths: StorePaths, file: Path, descriptor: int, taken_at: datetime) -> Pin | None:
        """
        Give a finished, locked snapshot its second name.

        :returns: None if the system refuses, e.g. since its file system has no links.
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
    """A pinned snapshot from one of its bytes on, in any process."""

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
                raise SnapshotFailedError(f"The snapshot {self.id} was cut at {offset:,} bytes.")
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
    """All that are pinned, the one that nobody has read for the longest time first."""
    aged = []
    for path in paths.all_pinned():
        with contextlib.suppress(OSError):  # just removed
            aged.append((path.stat().st_atime, path))
    return [path for _, path in sorted(aged)]


def _touch(descriptor: int, taken_at: datetime | None = None) -> None:
    """Note that it was read now. The time of the last write is when it was taken."""
    written = os.fstat(descriptor).st_mtime if taken_at is None else taken_at.timestamp()
    with contextlib.suppress(OSError):  # another user's: it may be read, and lives a bit shorter
        os.utime(descriptor, (time.time(), written))


def _sha256(descriptor: int) -> str:
    with open(os.dup(descriptor), "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
