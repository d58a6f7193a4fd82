"""The rest of a snapshot for a slow reader, in a file without a name."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file
from backups.sqlite.snapshots.page_reader import LONGEST_PIECE, Piece

LOOK_EVERY_BYTES = 8 * 1024**2  # written between two looks at the free space


class Spool:
    """The bytes of a snapshot from ``start`` on; those before ``written`` are in the file."""

    def __init__(
        self, descriptor: int, start: int, size: int, has_room: Callable[[], bool] = lambda: True
    ) -> None:
        """Takes over the descriptor of an empty file. ``has_room``: if the disk has enough left."""
        self._has_room, self._looked_at = has_room, start
        self.start, self.written = start, start
        self.descriptor, self._size = descriptor, size

    @classmethod
    def create(
        cls,
        database: str,
        start: int,
        size: int,
        floor: int = 0,
        *,
        named: Callable[[Path], None] = lambda _: None,
    ) -> "Spool | None":
        """
        Create one beside the database. Its name is removed at once: nothing can be left behind.

        :param floor: how many free bytes of the disk are reserved for the site.
        :param named: called with its name, which is about to be removed.
        :returns: None if the disk has no room for it, or the folder can't be written.
        """
        paths = StorePaths(Path(database))
        if not files.has_room(paths.folder, size - start + floor):
            return None

        def has_room() -> bool:  # others may have been promised the same bytes
            return files.has_room(paths.folder, floor + LOOK_EVERY_BYTES)

        try:
            with temporary_file(paths, "spool") as file:
                named(file.path)
                return cls(os.dup(file.descriptor), start, size, has_room)
        except OSError:
            return None

    def add(self, source: Callable[[int], Piece]) -> bool:
        """
        Write the next bytes; the kernel copies them (sendfile(2)).

        :param source: returns where the bytes from an offset on are.
        :returns: False if that fails, e.g. on a full disk; then the spool is emptied.
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
        """Where the bytes from ``offset`` on are."""
        return self.descriptor, offset - self.start, min(LONGEST_PIECE, self._size - offset)
