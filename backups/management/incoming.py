"""The snapshot for ``restore_db``: a file, a pipe, or standard input."""

import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management.base import CommandError

from backups import services
from backups.disk.files import CHUNK_BYTES
from backups.disk.progress import Progress
from backups.unwrapping import fill_in

STDIN = "-"
SPOOL_FOLDER = "/var/tmp"  # noqa: S108  # on a disk; /tmp is memory on many machines
HEAD_BYTES = 64 * 1024


class Incoming:
    """An open snapshot, and its name for messages."""

    def __init__(self, name: str, content: BinaryIO) -> None:
        self.content = content
        self.is_stdin = name == STDIN
        self.name = "standard input" if self.is_stdin else name

    @property
    def size(self) -> int | None:
        """Bytes; None for a pipe, whose length is not known before its end."""
        state = os.fstat(self.content.fileno())
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings that need no check. None for a pipe, which can be read only once."""
        if self.size is None:
            return ()
        head = os.pread(self.content.fileno(), HEAD_BYTES, 0)
        return tuple(map(self.fill_in, services.foresee_warnings(head)))

    def chunks(self, progress: Progress = lambda _: None) -> Iterator[bytes]:
        """
        The content in order, to be read once.

        :raises CommandError: it can't be read; the message names it.
        """
        while chunk := self._read():
            progress(len(chunk))
            yield chunk

    def _read(self) -> bytes:
        try:
            return self.content.read(CHUNK_BYTES)
        except OSError as error:
            raise _can_not_read(self.name, error) from error

    @contextmanager
    def with_length(self) -> Iterator[BinaryIO]:
        """The content as a file with a length. That of a pipe is written to the disk first."""
        if self.size is not None:
            yield self.content
            return
        with _spool() as spool:
            try:
                for chunk in self.chunks():
                    spool.write(chunk)
                spool.flush()
            except OSError as error:
                raise CommandError(
                    f"{self.name} could not be saved in {_spool_folder()}:"
                    f" {error.strerror}. Make room, or set TMPDIR to a folder on another disk."
                ) from error
            spool.seek(0)
            yield spool

    def fill_in(self, words: str) -> str:
        """Put the path in the place of FILE in a hint, so that its command can be copied."""
        return words if self.is_stdin else fill_in(words, shlex.quote(self.name))


@contextmanager
def open_incoming(name: str) -> Iterator[Incoming]:
    """
    Open a snapshot to restore. Refuses the live database under any name.

    :raises CommandError: it can't be read, or is only a part of a database.
    """
    if name == STDIN:
        if sys.stdin is None:
            raise CommandError("Standard input is closed: name a file.")
        services.check_not_live(Path(f"/dev/fd/{sys.stdin.fileno()}"))
        yield Incoming(name, sys.stdin.buffer)
        return
    path = Path(name)
    services.check_not_live(path)
    with _open(path) as content:
        _check_is_one_file(path)
        yield Incoming(name, content)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _can_not_read(path, error) from error


def _can_not_read(name: object, error: OSError) -> CommandError:
    return CommandError(f"{name} can't be read: {error.strerror}.")


def _check_is_one_file(path: Path) -> None:
    """The newest rows of a copied database may be in a second file, and would be lost."""
    for suffix in ("-wal", "-journal"):
        sidecar = path.with_name(path.name + suffix)
        if sidecar.exists() and sidecar.stat().st_size:
            raise CommandError(
                f"{path} is not the whole database: rows are in {sidecar.name} beside it."
                f" Make one file of the two first: sqlite3 {path} \"VACUUM INTO '{path}.whole'\""
            )


def _spool() -> BinaryIO:
    try:
        return tempfile.TemporaryFile(dir=_spool_folder())
    except OSError as error:
        raise CommandError(
            f"{_spool_folder()} can't be written: {error.strerror}. Set TMPDIR to another folder."
        ) from error


def _spool_folder() -> str:
    if os.environ.get("TMPDIR") or not os.path.isdir(SPOOL_FOLDER):
        return tempfile.gettempdir()
    return SPOOL_FOLDER
