"""
Files that only their owner may read.

Each is written beside its final name, synced and then put in place, so that whatever happens a
reader finds the old content or the new one, never a part. Knows no Django, so that settings can
use it.
"""

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from backups import files

__all__ = [
    "FileState",
    "FileTooOpenError",
    "create_once",
    "file_state",
    "read",
    "replace",
]

OTHERS = 0o077  # the permission bits of the group and of everybody else


class FileTooOpenError(Exception):
    """Others than its owner may read or write the file."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(
            f"{path} is open to other users (mode {mode:03o}). Close it with: chmod 600 '{path}'"
        )


class FileState(NamedTuple):
    """What changes when a file is rewritten or given other permissions."""

    modified_ns: int
    size: int
    inode: int
    mode: int


def file_state(status: os.stat_result) -> FileState:
    """Condense a stat result to what tells one version of a file from the next."""
    return FileState(status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)


def read(path: Path) -> bytes:
    """
    Read a file that must be closed to other users.

    :raises FileTooOpenError: if its group or others may read or write it.
    :raises OSError: if it is missing or cannot be read.
    """
    with open(path, "rb") as file:
        # Of the open file: the name may lead to another one by now.
        mode = _mode(file.fileno())
        if mode & OTHERS:
            raise FileTooOpenError(path, mode)
        return file.read()


def create_once(path: Path, content: bytes) -> None:
    """
    Create the file with mode 0600, or leave the one that somebody else created first.

    A link, unlike a rename, fails when the name is taken: of two processes that start together
    one wins, and both then read the same file.

    :raises OSError: if the folder is full or not writable.
    """
    incoming = _write_beside(path, content)
    try:
        _give_free_name(incoming, path)
    finally:
        files.unlink(incoming)
    files.sync_folder(path.parent)


def _give_free_name(incoming: Path, path: Path) -> None:
    try:
        files.link(incoming, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        with files.exclusive_folder(path.parent):  # a file system without links
            if not path.exists():
                files.replace(incoming, path)


def replace(path: Path, content: bytes, *, owner_of: Path | None = None) -> None:
    """
    Put ``content`` in place of the file, with mode 0600. If it fails, the old file is unchanged.

    :param owner_of: when we are root, a file that is new is given to the owner of this path, or
        the server could not read it. One that is replaced keeps its owner.
    :raises OSError: if the folder is full or not writable.
    """
    owner_of = path if owner_of is None or path.exists() else owner_of
    incoming = _write_beside(path, content, owner_of=owner_of)
    try:
        files.replace(incoming, path)
    except OSError:
        files.unlink(incoming)
        raise
    files.sync_folder(path.parent)


def _write_beside(path: Path, content: bytes, *, owner_of: Path | None = None) -> Path:
    """Write and sync a file of mode 0600 in the folder of ``path``, under another name."""
    incoming = path.with_name(f".{path.name}.incoming-{secrets.token_hex(8)}")
    descriptor = files.create_private(incoming, owner_of=owner_of)
    try:
        _check_is_closed(path.parent, descriptor)
        files.write_all(descriptor, content)
        files.sync(descriptor)
    except OSError:
        files.unlink(incoming)
        raise
    finally:
        os.close(descriptor)
    return incoming


def _check_is_closed(folder: Path, descriptor: int) -> None:
    """A file system may give every file one mode, e.g. exFAT, CIFS and some of FUSE."""
    mode = _mode(descriptor)
    if mode & OTHERS:
        raise OSError(
            errno.EPERM,
            f"every file there is open to other users (mode {mode:03o}), whatever mode it is given."
            " Keep it on another file system (API keys: BACKUPS_KEY_FILE), or mount this one with"
            " a mask",
            str(folder),
        )


def _mode(descriptor: int) -> int:
    return stat.S_IMODE(os.fstat(descriptor).st_mode)
