"""
Durable steps on files: create, write, sync, link, replace, sync the folder.

Each function is one step: a power cut can come before or after it. All are called through this
module, so that a test can stop the process between any two. A file is durable when both the file
*and* the folder that names it have been synced.

Source: https://www.sqlite.org/atomiccommit.html (why the folder needs its own sync).
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backups.disk.attributes import copy_acl as copy_acl
from backups.disk.attributes import copy_attributes as copy_attributes
from backups.disk.attributes import give_to_owner_of
from backups.disk.file_locks import NO_LOCKS as NO_LOCKS
from backups.disk.file_locks import exclusive_folder as exclusive_folder
from backups.disk.file_locks import is_named as is_named
from backups.disk.file_locks import lock as lock
from backups.disk.refusals import NOT_PERMITTED, NOT_SUPPORTED, is_refusal, warn
from backups.exceptions import printable
from backups.processes import limits

NO_LINKS = (*NOT_SUPPORTED, *NOT_PERMITTED, errno.EXDEV, errno.EMLINK)
# As cp does. For a longer write, Linux looks for that much memory in one piece, which a virtual
# machine may first have to get from its host: writes of 1 MiB took several times as long.
CHUNK_BYTES = 128 * 1024


def create_private(path: Path, *, owner_of: Path | None = None) -> int:
    """
    Create ``path``, for its owner only (0600). Returns its descriptor, open to read and write.

    :param owner_of: if we are root, give the new file to the owner of this path where possible,
        so that a command run by root leaves nothing that the server can't read.
    :raises FileExistsError: if the name is taken; that file is untouched.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        if owner_of is not None:
            give_to_owner_of(owner_of, descriptor)
    except OSError:
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor


def create_private_folder(path: Path, *, owner_of: Path | None = None) -> int:
    """
    Create a folder for its owner only (0700), and return its descriptor.

    :param owner_of: as for ``create_private``.
    """
    os.mkdir(path, 0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if owner_of is not None:
            give_to_owner_of(owner_of, descriptor)
    except OSError:
        os.rmdir(path)
        raise
    return descriptor


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: ``write(2)`` may take fewer than it is given, e.g. on a filling disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view[:CHUNK_BYTES]) :]


def sync(descriptor: int) -> None:
    """Return when the file's bytes are on the disk itself."""
    if sys.platform == "darwin":  # there, fsync(2) stops at the drive's cache
        with contextlib.suppress(OSError):  # a network file system lacks it: SQLite falls back too
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Sync the file of this name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """
    Return when the folder's names (created, renamed, unlinked) are on the disk itself.

    Some file systems can't sync a folder. Like SQLite and PostgreSQL, this then continues, but
    logs a warning.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (*NOT_SUPPORTED, errno.EBADF):
            raise
        warn(
            folder,
            "this file system can't sync a folder. The files are synced, but after a power cut"
            " one may be back under its earlier name.",
        )
    finally:
        os.close(descriptor)


def replace(source: Path, destination: Path) -> None:
    """Give ``source`` the name ``destination``, atomically. A file that had it loses it."""
    os.replace(source, destination)


def link(source: Path, destination: Path) -> None:
    """Give the file ``source`` a second name, which must be free (FileExistsError if not)."""
    os.link(source, destination, follow_symlinks=False)


def unlink(path: Path) -> bool:
    """Remove the name ``path``. Returns whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def truncate(path: Path) -> None:
    """Empty the file of this name, durably. Only for content that is kept elsewhere."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, 0)
        sync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: Path) -> bool:
    """
    Whether the name exists. ``Path.exists`` would return False for any error since Python 3.14.

    :raises OSError: the system can't tell, e.g. because the disk or a file server fails.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def copy(source: int, destination: int) -> None:
    """
    Fill an empty file with the bytes of another and sync it. Both stay open.

    It takes descriptors, so that a database is not opened (and closed) once more.
    """
    with (
        open(source, "rb", closefd=False) as incoming,
        open(destination, "wb", closefd=False) as outgoing,
    ):
        incoming.seek(0)
        shutil.copyfileobj(incoming, outgoing, CHUNK_BYTES)
    sync(destination)


def chunks_of(file: Any, first: int = 0, last: int | None = None) -> Iterator[bytes]:
    """
    The bytes of an open file from ``first`` to ``last``, both included, in chunks; to its end if
    that is None.

    :param file: anything with ``read`` and, if ``first`` is not 0, ``seek``.
    """
    if first:
        file.seek(first)
    left = None if last is None else last + 1 - first
    while left is None or left > 0:
        chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk


def sha256(path: Path) -> str:
    """Hash a file, as 64 hex digits. Never the live database: closing it would drop its locks."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """How many bytes an ordinary user can still write to this folder's disk; 0 if unknown."""
    usage = _usage(folder)
    return usage[2] if usage else 0


def disk_bytes(folder: Path) -> int:
    """How many bytes this folder's disk has; 0 if unknown."""
    usage = _usage(folder)
    return usage[0] if usage else 0


def has_room(folder: Path, size: int) -> bool:
    """Whether so many bytes fit. True if the system can't tell, as on some FUSE file systems."""
    return size <= free_bytes(folder) or _usage(folder) is None


def _usage(folder: Path) -> tuple[int, int, int] | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        if not is_refusal(error):
            raise
        return None
    return usage if usage.total else None


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, or our quota on it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def explain(error: OSError, folder: Path) -> str:
    """What happened to which file; for a write, where the system names no file, the folder."""
    return printable(f"{os.fsdecode(error.filename or folder)}: {words(error)}.")


def words(error: OSError) -> str:
    """The system's message; if the file size limit of this process was the cause, also that."""
    said = error.strerror or str(error)
    if error.errno == errno.EFBIG and (most := limits.file_bytes()) is not None:
        said += f" (this process may write {most:,} bytes to a file: ulimit -f)"
    return said
