"""Write a media file to a disk of this machine, as Django's storage would, but never half of it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from backups.conf import conf
from backups.disk import atomic_file
from backups.disk.room import floor_of, leaving_room
from backups.exceptions import DestinationError


def save(
    chunks: Iterable[bytes],
    path: Path,
    *,
    mode: int | None,
    modified: datetime | None,
    overwrite: bool,
) -> None:
    """
    Write a file. It gets its name only after the last chunk, when all is on the disk.

    :param mode: its permissions; None for those of any new file.
    :param modified: the time that it gets.
    :raises FileExistsError: the name is taken.
    :raises DestinationError: the system refuses.
    :raises NotEnoughSpaceError: too little of the disk would stay free for the site.
    """
    floor = floor_of(path.parent, conf.keep_free_bytes)
    try:
        atomic_file.save(leaving_room(chunks, path.parent, floor=floor), path, overwrite=overwrite)
    except DestinationError as error:
        if not overwrite and path.exists():
            raise FileExistsError(path) from error
        raise
    os.chmod(path, 0o666 & ~_umask() if mode is None else mode)
    _give_as_above(path)
    if modified is not None:
        os.utime(path, (modified.timestamp(), modified.timestamp()))


def make_folder(folder: Path, root: Path, *, mode: int | None) -> None:
    """
    Make a folder and those above it, as far as they are missing.

    :param root: the storage's own folder; the folders above it belong to others.
    :param mode: the permissions; None for those of any new folder.
    """
    if folder.is_dir():
        return
    if folder == root:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        make_folder(folder.parent, root, mode=mode)
        with suppress(FileExistsError):  # another thread was faster
            folder.mkdir()
    if mode is not None:
        folder.chmod(mode)
    _give_as_above(folder)


def _give_as_above(path: Path) -> None:
    """Give what root has created to the owner of the folder above, so that the site can write."""
    if os.geteuid() == 0:
        above = os.stat(path.parent)
        os.chown(path, above.st_uid, above.st_gid)


def _umask() -> int:
    """This process's umask. Only Linux tells it without a change, which other threads would see."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    os.umask(umask := os.umask(0o077))
    return umask
