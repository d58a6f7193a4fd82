"""
Files of this machine that exist only while something is under way, in a folder of our own.

The owner holds a lock (flock) on its file. If that is free, the owner was killed, and the next
start sweeps the file.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backups.disk import files
from backups.exceptions import StoreFolderError

PREFIX = "backups-scratch-"
RANDOM_BYTES = 6


@dataclass(frozen=True)
class ScratchFile:
    """An open file (0600) of ours. It is removed at the end of its block."""

    path: Path
    descriptor: int


class Scratch:
    """The folder for such files."""

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet."""
        self.folder = folder

    @contextmanager
    def file(self) -> Iterator[ScratchFile]:
        """
        A new empty file for the block.

        :raises StoreFolderError: the folder can't be made or written.
        """
        file = self._create()
        try:
            yield file
        finally:
            with suppress(OSError):
                os.unlink(file.path)
            os.close(file.descriptor)

    def nameless(self) -> int:
        """The descriptor of a new file without a name. Close it, and the file is gone."""
        file = self._create()
        os.unlink(file.path)
        return file.descriptor

    def sweep(self) -> list[str]:
        """Remove the files of processes that were killed, and return their names."""
        swept = []
        with suppress(OSError):
            for path in self.folder.glob(f"{PREFIX}*"):
                with suppress(OSError):
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(path)
                        swept.append(path.name)
                    finally:
                        os.close(descriptor)
        return swept

    def _create(self) -> ScratchFile:
        try:
            self._make_folder()
            while True:
                path = self.folder / f"{PREFIX}{secrets.token_hex(RANDOM_BYTES)}"
                descriptor = files.create_private(path, owner_of=self.folder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if files.is_named(path, descriptor):
                    return ScratchFile(path, descriptor)
                os.close(descriptor)  # swept before it was locked
        except OSError as error:
            raise StoreFolderError(
                f"{self.folder} can't be used for temporary files: {files.words(error)}.",
                hint="Name another folder in BACKUPS_FOLDER.",
            ) from error

    def _make_folder(self) -> None:
        """Below a folder of all users, e.g. /var/tmp, it must be ours, or they could swap files."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(self.folder)
        is_shared = os.stat(self.folder.parent).st_mode & stat.S_ISVTX
        if is_shared and (found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode)):
            raise PermissionError(errno.EPERM, "it belongs to another user", str(self.folder))
