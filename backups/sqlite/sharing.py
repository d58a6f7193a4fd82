"""
Files that this process has made beside the database, shared with others who may write it.

SQLite gives its ``-wal`` and ``-shm`` the mode of the database and, unless root opened it, the
group of the user who opened it. So a member of the group who is there first would shut
the site out. Few modules are imported: a client may be waiting.

Source: findCreateFileMode and robustFchown in os_unix.c.
"""

import os

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
    mode = (found.st_mode | like.st_mode & OTHERS_USE) & 0o777
    if mode != found.st_mode & 0o777:
        os.chmod(file, mode)
    if found.st_gid != like.st_gid:
        os.chown(file, -1, like.st_gid)
