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
from contextlib import suppress

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


def share_with_writers(descriptor: int, like: os.stat_result) -> None:
    """
    Let those who may write another file do so with a new file of ours, and nobody else open it.

    :raises OSError: this user is not in the group of the other file; then it is for this user.
    """
    os.fchmod(descriptor, 0o600)
    if like.st_mode & OTHERS_WRITE:
        if os.fstat(descriptor).st_gid != like.st_gid:
            os.fchown(descriptor, -1, like.st_gid)
        os.fchmod(descriptor, _of_writers(like))


def close_to_readers(descriptor: int, like: os.stat_result) -> None:
    """
    Close a file that is there to those who may only read the other one, e.g. one that an earlier
    release has left with the mode of the database. Of a file that is not ours nothing changes.
    """
    mode = os.fstat(descriptor).st_mode & 0o777
    if mode & ~_of_writers(like):
        with suppress(OSError):
            os.fchmod(descriptor, mode & _of_writers(like))


def _of_writers(like: os.stat_result) -> int:
    may_write = like.st_mode & OTHERS_WRITE
    return 0o600 | may_write | may_write << 1
