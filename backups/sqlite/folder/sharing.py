"""
Files that this process has made beside the database, shared with others who may write it. Those
who may only read it get SQLite's files, which a reader needs, and no file of ours, whose locks they
could keep for ever.

SQLite gives its ``-wal`` and ``-shm`` the mode of the database and, unless root opened it, the
group of the user who opened it. So a member of the group who is there first would shut
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
    """Share what SQLite has made beside this database, as far as it is ours. Opens nothing."""
    for suffix in MADE_BY_SQLITE:
        try:
            share(database + suffix, os.stat(database))
        except OSError:  # it is not there, or this user is not in that group
            continue


def share(file: str | int, like: os.stat_result) -> None:
    """
    Let those who may write another file do with one of ours what they may with that.

    :param like: of the other file. If only its owner may write it, nothing is done.
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
    Let those who may write another file open one of ours, and nobody else: not one who may only
    read the other, although an earlier release let him.

    Nothing changes if that file is missing, or only a folder stands for it, if ours is another
    user's, or as far as the system refuses, e.g. since we are not in the group of the other.
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
