"""The rest of a snapshot on the disk, in a file that has lost its name, for a slow reader."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file
from backups.sqlite.snapshots.page_reader import LONGEST_PIECE, Piece

LOOK_EVERY_BYTES = 8 * 1024**2  # no more than this is written between two looks at the disk


class Spool:
    """The bytes of a snapshot from ``start`` to ``size``, as far as they are ``written``."""

    def __init__(
        self, descriptor: int, start: int, size: int, has_room: Callable[[], bool] = lambda: True
    ) -> None:
        """
        Takes over the descriptor of an empty file.

        :param has_room: whether the disk has more free than the site needs.
        """
        self._has_room, self._looked_at = has_room, start
        self.start, self.written = start, start
        self.descriptor, self._size = descriptor, size

    @classmethod
    def create(cls, database: str, start: int, size: int, floor: int = 0) -> "Spool | None":
        """
        Make one beside the database, without a name when this returns: nothing can be left behind.

        :param floor: how many bytes of the disk are left to the site.
        :returns: None if the disk has no room for it, or the folder can't be written.
        """
        paths = StorePaths(Path(database))
        if not files.has_room(paths.folder, size - start + floor):
            return None

        def has_room() -> bool:  # others may have been promised the same bytes
            return files.has_room(paths.folder, floor + LOOK_EVERY_BYTES)

        try:
            with temporary_file(paths, "spool") as file:
                return cls(os.dup(file.descriptor), start, size, has_room)
        except OSError:
            return None

    def add(self, source: Callable[[int], Piece]) -> bool:
        """
        Write the next bytes, within the system, at the speed of the disk.

        :param source: tells where the bytes from an offset on are.
        :returns: False if that fails, e.g. on a full disk; then the spool takes no room any more.
        """
        file, position, length = source(self.written)
        try:
            if self.written - self._looked_at >= LOOK_EVERY_BYTES:
                self._looked_at = self.written
                if not self._has_room():
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.written += os.sendfile(self.descriptor, file, position, length)
        except OSError:
            os.ftruncate(self.descriptor, 0)
            return False
        return True

    def piece(self, offset: int) -> Piece:
        """Where the bytes from ``offset`` on are: which file, from where on, how many."""
        return self.descriptor, offset - self.start, min(LONGEST_PIECE, self._size - offset)
