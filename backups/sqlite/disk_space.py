"""
The free bytes on a store's disk: who may take how many, and how many stay free for the site.

- The floor: so many bytes stay free for the site, except at a start. Nobody writes then, and the
  pending restore matters more than the floor.
- An upload is promised the length that it announced. Its file gets that length at once, as a hole.
  The length minus the file's size on the disk is the promise that is still open. Others can see
  it, and it ends with the file. A restore without a restart reserves its bytes in a file that is
  all hole.
- Snapshots ignore what uploads were promised: a client that announces much and sends nothing must
  not prevent backups.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from backups.disk import files
from backups.disk.refusals import is_refusal
from backups.exceptions import NotEnoughSpaceError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import sweep, temporary_file
from backups.sqlite.kept.pruning import room_hint
from backups.sqlite.locking import locks
from backups.sqlite.locking.lock_file import open_lock

STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine: some milliseconds
# The kinds of files that promise room.
UPLOADS, RESTORES, SCRATCH = "incoming", "reserved", "scratch"
ADMISSION = 1 << 21  # the number of the turn to add up the promises and to make another
ADMISSION_SECONDS = 2.0  # it takes a millisecond; a process that keeps it must not stop uploads
BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system


def check_room(paths: StorePaths, what: str, needed: int, *, floor: int, promised: int = 0) -> None:
    """
    Check that the disk has the needed bytes, the floor, and the bytes promised to others.

    :param what: the beginning of a sentence: ``The snapshot needs``.
    :raises NotEnoughSpaceError: it has not.
    """
    if not files.has_room(paths.folder, needed + floor + promised):
        raise no_room(paths, what, needed, floor=floor, promised=promised)


def no_room(
    paths: StorePaths, what: str, needed: int, *, floor: int = 0, promised: int = 0
) -> NotEnoughSpaceError:
    """The error that says how much is missing, and why, and which kept copies can be removed."""
    free = files.free_bytes(paths.folder)
    reasons = []
    if floor:
        reasons.append(f"{floor:,} stay free for the site (BACKUPS_KEEP_FREE_BYTES)")
    if promised:
        reasons.append(f"{promised:,} are promised to other uploads and restores")
    missing = needed + floor + promised - free
    why = f": {' and '.join(reasons)}, so {missing:,} are missing" if reasons else ""
    return NotEnoughSpaceError(
        f"{what} {needed:,} bytes in {paths.folder}, and {free:,} are free{why}.",
        needed_bytes=needed,
        free_bytes=free,
        hint=room_hint(paths),
    )


def reserve(
    paths: StorePaths,
    file: int,
    size: int,
    *,
    floor: int,
    what: str = "The snapshot needs at least",
) -> None:
    """
    Promise an upload or a restore so many bytes. One process at a time does this, so that the same
    bytes are never promised twice.

    :param file: the open, empty file whose length is the promise.
    :param what: the beginning of a sentence.
    :raises NotEnoughSpaceError: fewer are free beside the floor and what others were promised.
    :raises OSError: the file can't have that length.
    """
    with contextlib.suppress(OSError):
        sweep(paths)  # files of killed processes take room too
    with _one_at_a_time(paths):
        check_room(paths, what, size, floor=floor, promised=promised(paths, but=file))
        try:
            os.ftruncate(file, size)
        except OSError as error:
            if not is_refusal(error):
                raise


@contextlib.contextmanager
def reserved(paths: StorePaths, what: str, size: int, *, floor: int) -> Iterator[None]:
    """Reserve so many bytes for the length of the block. Raises the errors of ``reserve``."""
    with temporary_file(paths, RESTORES) as hole:
        reserve(paths, hole.descriptor, size, floor=floor, what=what)
        yield


def promised(
    paths: StorePaths, *, but: int | None = None, to: tuple[str, ...] = (UPLOADS, RESTORES, SCRATCH)
) -> int:
    """
    How many bytes uploads and restores were promised and have not written yet. Reads only.

    :param but: an open file that does not count.
    """
    total = 0
    for path in paths.promising(*to):
        with contextlib.suppress(OSError):  # it was just renamed or removed
            other = path.stat()
            if but is None or not os.path.samestat(os.fstat(but), other):
                total += max(0, other.st_size - other.st_blocks * BLOCK_BYTES)
    return total


@contextlib.contextmanager
def leaving(folder: Path, connection: sqlite3.Connection, *, floor: int) -> Iterator[None]:
    """
    Interrupt this connection's statements in the block (``sqlite3.OperationalError``, with the
    code SQLITE_INTERRUPT) as soon as the disk has less free than the floor.
    """
    if not floor:
        yield
        return
    connection.set_progress_handler(lambda: not files.has_room(folder, floor), STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


@contextlib.contextmanager
def _one_at_a_time(paths: StorePaths) -> Iterator[None]:
    """Best effort: goes on where there are no such locks, or another process keeps this one."""
    descriptor = open_lock(paths.lock, owner_of=paths.database)
    try:
        end = time.monotonic() + ADMISSION_SECONDS
        while not locks.try_turn(descriptor, ADMISSION) and time.monotonic() < end:
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
