"""
Files that exist only while something is under way, and never outlive their owner for long.

The owner holds a lock (flock) on its file. If the lock is free, the owner was killed, and the next
start of any process sweeps the file. The lock needs no record of pids, works between containers,
and the system releases it with the process.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import SIDECARS, StorePaths


@dataclass(frozen=True)
class Temporary:
    """A file (0600) or folder (0700), at ``path`` until it is renamed or removed."""

    path: Path
    descriptor: int

    def remove(self) -> None:
        """Remove the name and SQLite's sidecars. A file's bytes stay readable."""
        for suffix in SIDECARS:
            files.unlink(self.path.with_name(self.path.name + suffix))
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            files.unlink(self.path)


@contextlib.contextmanager
def temporary_file(paths: StorePaths, kind: str) -> Iterator[Temporary]:
    """
    Own a new empty file for the block. Afterwards it is removed, unless it was renamed.

    :raises OSError: the folder can't be written; there is no file.
    """
    with _owned(paths, kind, files.create_private) as file:
        yield file


@contextlib.contextmanager
def temporary_folder(paths: StorePaths, kind: str) -> Iterator[Temporary]:
    """Own a new empty folder, as ``temporary_file`` does a file."""
    with _owned(paths, kind, files.create_private_folder) as folder:
        yield folder


@contextlib.contextmanager
def owned(file: Path, name: Path, give: Callable[[Path, Path], None]) -> Iterator[None]:
    """
    Give a file a temporary name and own it for the block; then remove that name if it still exists.

    The file is locked before it gets the name, or a start could sweep it in between.

    :param give: ``files.link`` or ``files.replace``.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A lock of somebody else, e.g. of a user who may read it, prevents the sweep as well.
        with contextlib.suppress(BlockingIOError):
            files.lock(descriptor, name.parent, wait=False)
        give(file, name)
        yield
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # a start sweeps what stays
            files.unlink(name)


def sweep(paths: StorePaths) -> list[Path]:
    """
    Remove the files that killed processes left, and return their names.

    A sidecar is removed before its file; a power cut can leave a sidecar alone, which is removed
    too. What can't be removed, e.g. another user's file, waits for the next sweep: no start fails.
    """
    try:
        found = paths.temporaries()
    except OSError:  # the folder can't be read now
        return []
    return [
        path
        for path in found
        if (_remove_if_orphan(path) if path.name.endswith(SIDECARS) else _remove_if_abandoned(path))
    ]


def _remove_if_orphan(sidecar: Path) -> bool:
    """Remove a sidecar whose file is missing. Returns whether it did."""
    file = sidecar.with_name(sidecar.name.rpartition("-")[0])
    with contextlib.suppress(OSError):
        return not files.exists(file) and files.unlink(sidecar)
    return False


@contextlib.contextmanager
def _owned(paths: StorePaths, kind: str, create: Callable[..., int]) -> Iterator[Temporary]:
    temporary = _create_locked(paths, kind, create)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # a start sweeps what stays
            temporary.remove()
        os.close(temporary.descriptor)


def _create_locked(paths: StorePaths, kind: str, create: Callable[..., int]) -> Temporary:
    owner = paths.database if files.exists(paths.database) else paths.folder
    while True:
        path = paths.temporary(kind)
        temporary = Temporary(path, create(path, owner_of=owner))
        try:
            files.lock(temporary.descriptor, path.parent)
            if files.is_named(path, temporary.descriptor):
                return temporary
        except OSError:
            with contextlib.suppress(OSError):
                temporary.remove()
            os.close(temporary.descriptor)
            raise
        os.close(temporary.descriptor)  # swept before it was locked: take another name


def _remove_if_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # just removed, or another user's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Temporary(path, descriptor).remove()
    except OSError:
        return False  # its owner is at work (BlockingIOError), or the system refuses
    finally:
        os.close(descriptor)
    return True
