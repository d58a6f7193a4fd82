"""
Share the files that this process has made beside the database with all who may write it. Users who
may only read it get SQLite's files, which a reader needs, and none of ours: they could keep the
locks on ours for ever.

SQLite gives its ``-wal`` and ``-shm`` the mode of the database and, unless root opened it, the
group of the user who opened it. So a member of the database's group who opens it first would lock
the site out. Few modules are imported: a client may be waiting.

Source: findCreateFileMode and robustFchown in os_unix.c.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

OTHERS_WRITE, OTHERS_USE = 0o022, 0o066
MADE_BY_SQLITE = ("-wal", "-shm", "-journal")


def share_sidecars(database: str) -> None:
    """Share the sidecars of this database that this user owns. Opens nothing."""
    for suffix in MADE_BY_SQLITE:
        try:
            share(database + suffix, os.stat(database))
        except OSError:  # it does not exist, or this user is not in the database's group
            continue


def share(file: str | int, like: os.stat_result) -> None:
    """
    Give this user's file the rights of another one, if more than its owner may write that.

    :param like: of the other file.
    :raises OSError: this user is not in the group of the other file.
    """
    found = os.stat(file)
    if found.st_uid != os.geteuid() or not like.st_mode & OTHERS_WRITE:
        return
    if found.st_gid != like.st_gid:
        os.chown(file, -1, like.st_gid)  # first, or another group could open it
    mode = (found.st_mode | like.st_mode & OTHERS_USE) & 0o777
    if mode != found.st_mode & 0o777:
        os.chmod(file, mode)


def share_with_writers(descriptor: int, like: Path) -> None:
    """
    Let all who may write the file ``like`` open ours, and nobody else.

    Nothing changes if ``like`` is missing or a folder, if ours belongs to another user, or if the
    system refuses, e.g. since this user is not in the group of ``like``.
    """
    from backups.disk.files import copy_acl

    found = os.fstat(descriptor)
    with suppress(OSError):
        other = os.stat(like)
        wanted, mode = _of_writers(other), found.st_mode & 0o777
        if os.geteuid() not in (0, found.st_uid) or not stat.S_ISREG(other.st_mode):
            return
        if mode & ~wanted:
            os.fchmod(descriptor, mode & wanted)
        if wanted & OTHERS_USE & ~mode:
            os.fchown(descriptor, -1, other.st_gid)
            copy_acl(like, descriptor)
            os.fchmod(descriptor, wanted)


def _of_writers(like: os.stat_result) -> int:
    may_write = like.st_mode & OTHERS_WRITE
    return 0o600 | may_write | may_write << 1
