"""
Which other users of the machine can open the database, or the files beside it.

Every command warns if others can write: they can put any content there, even accounts with all
rights. Only ``check --deploy`` warns if others can read: that is how Django itself creates a
database, and it does not matter on a developer's own machine. What only the group may do is the
site's decision. There is no warning if others can't reach the folder.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from backups.site import local_store

OTHERS_READ, OTHERS_WRITE, OTHERS_ENTER = 0o004, 0o002, 0o001
MEANT_FOR_ALL = (
    "The folder is meant for everybody's files. Stop the site, and move the database and the files"
    " beside it into a separate folder with mode 0700."
)
MORE_IN_IT = (
    "If others need something else in it, as in a project's own folder, move the database into a"
    " separate folder instead."
)


def check_writers(**_: Any) -> list[CheckMessage]:
    """Warn of what others can write. Reads only."""
    return [
        *_of_files(OTHERS_WRITE, "write", "W060", "put any content in place of this site's"),
        *_of_folders(OTHERS_WRITE, "write to", "W061", "put files there for SQLite to read"),
        *_above_folders(),
    ]


def check_readers(**_: Any) -> list[CheckMessage]:
    """Warn of what others can read: for ``check --deploy``. Reads only."""
    return [
        *_of_files(OTHERS_READ, "read", "W062", "read every row and password hash, and keep locks"),
        *_of_folders(OTHERS_READ, "list", "W063", "see what is there, and keep locks on it"),
    ]


def _of_files(bit: int, verb: str, number: str, result: str) -> Iterator[CheckMessage]:
    for folder, databases in _by_folder().items():
        if not _can_be_reached(folder):
            continue
        for database in databases:
            found = [path for path in _beside(database) if _mode(path) & bit]
            if found:
                others = f" and {len(found) - 1} more" * (len(found) > 1)
                yield CheckWarning(
                    f"Every user of this machine can {verb} {found[0]} (mode"
                    f" {_mode(found[0]):04o}){others}, and so {result}.",
                    hint=f"Close them with: chmod o-rwx {shlex.quote(str(database))}*",
                    id=f"backups.{number}",
                )


def _of_folders(bit: int, verb: str, number: str, result: str) -> Iterator[CheckMessage]:
    for folder in _by_folder():
        if _can_be_reached(folder.parent) and (mode := _mode(folder)) & bit:
            close = f"Close it with: chmod o-rwx {shlex.quote(str(folder))}. {MORE_IN_IT}"
            yield CheckWarning(
                f"Every user of this machine can {verb} the database's folder {folder} (mode"
                f" {mode:04o}), and so {result}.",
                hint=MEANT_FOR_ALL if mode & stat.S_ISVTX else close,
                id=f"backups.{number}",
            )


def _above_folders() -> Iterator[CheckMessage]:
    """Users who may write to a folder can replace folders in it, unless it is like /tmp."""
    for above in {above: None for folder in _by_folder() for above in folder.parents}:
        mode = _mode(above)
        if mode & OTHERS_WRITE and not mode & stat.S_ISVTX and _can_be_reached(above):
            yield CheckWarning(
                f"Every user of this machine can write to {above} (mode {mode:04o}), and so put"
                " another folder in place of the database's.",
                hint=f"Close it with: chmod o-w {shlex.quote(str(above))}",
                id="backups.W064",
            )


def _by_folder() -> dict[Path, list[Path]]:
    """Each folder with the databases in it."""
    folders: dict[Path, list[Path]] = {}
    for paths in local_store.all_paths():
        if _mode(paths.folder):
            folders.setdefault(paths.folder, []).append(paths.database)
    return folders


def _beside(database: Path) -> list[Path]:
    """The database first, then what belongs to it: sidecars, kept copies, keys, receipts."""
    with suppress(OSError):
        names = sorted(os.listdir(database.parent))
        return [database.parent / name for name in names if name.startswith(database.name)]
    return [database]


def _can_be_reached(folder: Path) -> bool:
    """Whether others may enter the folder and every folder above it."""
    return all(_mode(each) & OTHERS_ENTER for each in (folder, *folder.parents))


def _mode(path: Path) -> int:
    """Its permissions; none if it is missing or is a symbolic link."""
    with suppress(OSError):
        status = os.lstat(path)
        return 0 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
    return 0
