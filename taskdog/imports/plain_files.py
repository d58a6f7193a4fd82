"""The files of a stranger's folder, opened so that none of them stands for another one."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from taskdog.imports.exceptions import UnusableSourceError

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO does not wait


def open_plain(path: Path, *, most_bytes: int) -> BinaryIO:
    """
    Open a file to be read, that is a file: no device, no pipe that nobody writes to, and no
    symbolic link to something outside of its folder.

    :raises UnusableSourceError: it is something else, or longer than ``most_bytes``.
    :raises OSError: it can't be read.
    """
    try:
        descriptor = os.open(path, FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        descriptor = os.open(_target(path), FLAGS)
    try:
        _check(os.fstat(descriptor), path, most_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check(found: os.stat_result, path: Path, most_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnusableSourceError(f"{path} is not a file.")
    if found.st_size > most_bytes:
        raise UnusableSourceError(
            f"{path} has {found.st_size:,} bytes; the most is {most_bytes:,}."
        )


def _target(link: Path) -> Path:
    target, folder = link.resolve(), link.parent.resolve()
    if not target.is_relative_to(folder):
        raise UnusableSourceError(
            f"{link} is a symbolic link out of its folder, to {target}. If that belongs to the"
            " data, put a copy of it there instead."
        )
    return target
