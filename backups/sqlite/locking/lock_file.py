"""
The lock file beside the database: always empty, created by the first process, never unlinked.

It is for those who may write the database: who may only read it could lock it for ever, and keep
every snapshot and every restore waiting.
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
    Open the lock file, creating it if need be, and make sure that the name is still its own.

    :param owner_of: whose owner a new lock file gets, and whose writers may open it, and nobody
        else; for its owner alone if that is a folder.
    :returns: a descriptor above the standard streams; for reading only where the file or its
        folder can't be written, which is enough to be present.
    :raises OSError: it can't be opened, e.g. in a folder that is missing.
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
        with contextlib.suppress(OSError):  # not ours to give away: others then see their own error
            like = os.stat(owner_of)  # or the server could not open what root's command made
            os.fchown(descriptor, like.st_uid, like.st_gid)
    return descriptor


def _open(path: Path, flags: int) -> int:
    """
    Open it above the standard streams.

    In a process that was started without them the lowest free descriptor is one of theirs, and
    a process that prints to it, or puts /dev/null there as daemons do, would write to our
    file or close it.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if descriptor > LAST_STREAM:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LAST_STREAM + 1)
    finally:
        os.close(descriptor)
