"""
A copy of somebody else's database, to be opened without a trace beside the original.

SQLite can't read a database in WAL mode, or one with a hot journal, without writing beside it.
So its file and its sidecars are copied into ``.import-<random>`` in the site's data folder (0700),
and opened there. The folder is removed afterwards; one that a kill has left is removed by the
next import, which knows it by its lock: nobody holds it any more.

Source: https://www.sqlite.org/wal.html#read_only_databases
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from backups.conf import conf
from taskdog.imports.exceptions import UnusableSourceError
from taskdog.imports.plain_files import open_plain

PREFIX = ".import-"
PARTS = ("", "-wal", "-journal")  # -shm is rebuilt from -wal

COPY_BYTES = 1024**2  # at once

State = tuple[int, int, int] | None  # inode, bytes, time of the last change in nanoseconds


@contextmanager
def private_copy(database: Path, *, beside: Path) -> Iterator[Path]:
    """
    Copy a database with its sidecars, and yield where; it is gone after the block.

    The original is read, byte by byte, and never opened with SQLite.

    :param beside: the folder that the copy's folder is made in.
    :raises UnusableSourceError: it or a sidecar is not a file, or larger than an upload may be
        (BACKUPS_MAX_UPLOAD_BYTES), or was written to while it was copied.
    :raises OSError: it can't be read, or the copy can't be written.
    """
    if not database.is_file():
        raise UnusableSourceError(f"{database} is not a file.")
    database = database.resolve()  # the sidecars are where the file is, and not a link to it
    sweep(beside)
    with _private_folder(beside) as folder:
        copy = folder / "tasks.db"
        before = _states(database)
        for part in PARTS:
            with suppress(FileNotFoundError) if part else nullcontext():  # it may have no sidecar
                _copy(_part(database, part), _part(copy, part))
        if _states(database) != before:
            raise UnusableSourceError(
                f"{database} was written to while it was copied. Stop its server, and try again."
            )
        yield copy


def _copy(source: Path, destination: Path) -> None:
    most = conf.max_upload_bytes
    with open_plain(source, most_bytes=most) as content, destination.open("xb") as copy:
        shutil.copyfileobj(content, copy, COPY_BYTES)


def sweep(beside: Path) -> None:
    """Remove what killed imports have left in a folder; leave alone what has an owner."""
    for folder in beside.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = _lock(folder)
            try:
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


@contextmanager
def _private_folder(beside: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
    descriptor = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _lock(folder: Path) -> int:
    """:raises BlockingIOError: another process owns it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _states(database: Path) -> list[State]:
    return [_state(_part(database, part)) for part in PARTS]


def _state(path: Path) -> State:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _part(database: Path, part: str) -> Path:
    return database.with_name(database.name + part)
