"""
A file of JSON, a line each, beside the database: several processes may append to it at once.

Source: https://jsonlines.org
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.sharing import share_with_writers


@contextlib.contextmanager
def locked(paths: StorePaths, path: Path) -> Iterator[int]:
    """
    Open the file and lock it for the block. Only those who may write the database can open it: a
    user who may only read could keep the lock.

    :raises OSError: the system refuses, or the name is a symbolic link.
    :raises TimeoutError: another process, which is named, does not release its lock.
    """
    descriptor = _open(paths, path)
    try:
        files.lock(descriptor, paths.folder)
        yield descriptor
    finally:
        os.close(descriptor)


def append(descriptor: int, line: bytes) -> None:
    """
    Add a line at the end of a locked file.

    :raises OSError: it can't be written; the lines before it are unharmed.
    """
    end = os.lseek(descriptor, 0, os.SEEK_END)
    # A crash may have cut off the last line: then begin a new one.
    torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
    try:
        files.write_all(descriptor, b"\n" * torn + line + b"\n")
    except OSError:
        with contextlib.suppress(OSError):  # a full disk may have taken half of the line
            os.ftruncate(descriptor, end)
        raise


def append_bounded(paths: StorePaths, path: Path, line: bytes, *, earlier: Path, most: int) -> None:
    """
    Open, lock and add a line. If the file would have more than ``most`` bytes, it is renamed to
    ``earlier``, which replaces the earlier file of that name, and the line goes into a new one.

    :raises OSError: it can't be written; the lines before it are unharmed.
    """
    if not _append_unless_full(paths, path, line, earlier=earlier, most=most):
        _append_unless_full(paths, path, line, earlier=earlier, most=None)  # into a new file


def _append_unless_full(
    paths: StorePaths, path: Path, line: bytes, *, earlier: Path, most: int | None
) -> bool:
    """Returns False if the file was full, and has another name now."""
    with locked(paths, path) as descriptor:
        if most is not None and os.fstat(descriptor).st_size + len(line) >= most:
            # Two processes may find it full at once: the second holds the renamed file.
            if files.is_named(path, descriptor):
                files.replace(path, earlier)
            return False
        append(descriptor, line)
        return True


def _open(paths: StorePaths, path: Path) -> int:
    owner = paths.database if files.exists(paths.database) else paths.folder
    try:
        descriptor = files.create_private(path, owner_of=owner)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    share_with_writers(descriptor, owner)
    return descriptor
