"""
The lock file beside the database: always empty, created by the first process, never unlinked.

Only users who may write the database can open it: others could lock it for ever, and keep every
snapshot and every restore waiting.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from backups.sqlite.folder.sharing import share_with_writers

LAST_STREAM = 2  # standard error; 0 and 1 are the other two


def open_lock(path: Path, owner_of: Path | None) -> int:
    """
    Open the lock file, create it if it is missing, and make sure that it was not replaced.

    :param owner_of: the file whose owner a new lock file gets, and whose writers, and nobody else,
        may open it; if it is a folder, only its owner may.
    :returns: a descriptor above the standard streams; for reading only where the file or its
        folder can't be written, which is enough to be present.
    :raises OSError: it can't be opened, e.g. because the folder is missing.
    """
    while True:
        descriptor = _open_or_create(path, owner_of)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                if owner_of is not None:
                    share_with_writers(descriptor, owner_of)
                return descriptor
        os.close(descriptor)


def _open_or_create(path: Path, owner_of: Path | None) -> int:
    try:
        return _open(path, os.O_RDWR)
    except FileNotFoundError:
        return _create(path, owner_of)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return _open(path, os.O_RDONLY)  # enough to be present, not to apply


def _create(path: Path, owner_of: Path | None) -> int:
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    if owner_of is not None and os.geteuid() == 0:
        with contextlib.suppress(OSError):  # if root may not, the other users' errors say so
            like = os.stat(owner_of)  # or the server could not open what root's command made
            os.fchown(descriptor, like.st_uid, like.st_gid)
    return descriptor


def _open(path: Path, flags: int) -> int:
    """
    Open it above the standard streams. In a process without them the lowest free descriptor is one
    of theirs: printing would write to this file, and a daemon that puts /dev/null there closes it.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if descriptor > LAST_STREAM:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LAST_STREAM + 1)
    finally:
        os.close(descriptor)
