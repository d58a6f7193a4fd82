"""The rest of a snapshot on the disk, in a file that has lost its name, for a slow reader."""

import os
from collections.abc import Callable
from pathlib import Path

from backups import files
from backups.sqlite.pages import LONGEST_PIECE, Piece
from backups.sqlite.paths import StorePaths
from backups.sqlite.temporary import temporary_file


class Spool:
    """The bytes of a snapshot from ``start`` to ``size``, as far as they are ``written``."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        """Takes over the descriptor of an empty file."""
        self.start, self.written = start, start
        self.descriptor, self._size = descriptor, size

    @classmethod
    def create(cls, database: str, start: int, size: int) -> "Spool | None":
        """
        Make one beside the database, without a name when this returns: nothing can be left behind.

        :returns: None if the disk has no room for it, or the folder can't be written.
        """
        paths = StorePaths(Path(database))
        if not files.has_room(paths.folder, size - start):
            return None
        try:
            with temporary_file(paths, "spool") as file:
                return cls(os.dup(file.descriptor), start, size)
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
            self.written += os.sendfile(self.descriptor, file, position, length)
        except OSError:
            os.ftruncate(self.descriptor, 0)
            return False
        return True

    def piece(self, offset: int) -> Piece:
        """Where the bytes from ``offset`` on are: which file, from where on, how many."""
        return self.descriptor, offset - self.start, min(LONGEST_PIECE, self._size - offset)
