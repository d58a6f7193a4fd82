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
    Open the file, which nobody else writes until the block ends. It is for those who may write
    the database: who may only read it could keep its lock.

    :raises OSError: the system refuses, or the name is a symbolic link.
    :raises TimeoutError: another process does not release its lock; the words say which.
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
    # A crash may have cut the last line off: begin a line of our own.
    torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
    try:
        files.write_all(descriptor, b"\n" * torn + line + b"\n")
    except OSError:
        # A full disk takes half a line; without it the next one is whole again.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def _open(paths: StorePaths, path: Path) -> int:
    owner = paths.database if files.exists(paths.database) else paths.folder
    try:
        descriptor = files.create_private(path, owner_of=owner)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    share_with_writers(descriptor, owner)
    return descriptor
