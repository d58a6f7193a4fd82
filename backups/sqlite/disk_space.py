"""
The room on the disk of a store: who may take how much of it, and what is left to the site.

- A floor of free bytes is the site's own: nothing here that takes room goes below it. A start is
  the exception. Nobody writes then, and a restore that waits is worth more than the floor.
- An upload is promised the length that it announced. Its file has that length at once, as a hole,
  so what is promised and not yet written is the length less what the file takes of the disk:
  others can see it, and it ends with the file. A restore without a restart reserves what it needs
  in a file that is nothing but a hole.
- Snapshots don't look at what uploads were promised: a client that announces much and sends
  nothing must not keep anybody from a backup.
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

FLOOR_BYTES = 64 * 1024**2  # what a WAL of a busy site grows by between two checkpoints, and more
SHARE = 20  # of a disk that is small, the twentieth part
LOOK_EVERY_BYTES = 8 * 1024**2  # no more than this is written between two looks at the disk
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine: some milliseconds
UPLOADS, RESTORES = "incoming", "reserved"  # the kinds of files that promise room
ADMISSION = 1 << 21  # the number of the turn to look at the promises and to make one's own
ADMISSION_SECONDS = 2.0  # it takes a millisecond; who holds it longer must not stop uploads
BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system


def floor_of(folder: Path, asked: int | None) -> int:
    """
    How many bytes stay free for the site on the disk of this folder. Reads only.

    :param asked: what the settings say; None for the default.
    """
    if asked is not None:
        return asked
    with contextlib.suppress(OSError):  # whoever needs the folder finds out what is wrong
        if total := files.disk_bytes(folder):
            return min(FLOOR_BYTES, total // SHARE)
    return FLOOR_BYTES


def check_room(paths: StorePaths, what: str, needed: int, *, floor: int, promised: int = 0) -> None:
    """
    Refuse to take so many bytes if that would leave less than the floor.

    :param what: the beginning of a sentence: ``The upload needs``.
    :param promised: bytes that others will take.
    :raises NotEnoughSpaceError: it would.
    """
    if not files.has_room(paths.folder, needed + floor + promised):
        raise no_room(paths, what, needed, floor=floor, promised=promised)


def no_room(
    paths: StorePaths, what: str, needed: int, *, floor: int = 0, promised: int = 0
) -> NotEnoughSpaceError:
    """The error that says how much is missing, and why, and which kept copies could go."""
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
    what: str = "The upload needs at least",
) -> None:
    """
    Promise an upload or a restore so many bytes, or refuse it, if there is not that much which
    is neither the site's nor promised to others.

    One at a time looks and promises, so that two can't be promised the same bytes.

    :param file: the open, empty file that promises them: the upload's own.
    :param what: the beginning of a sentence.
    :raises NotEnoughSpaceError: there is no room.
    :raises OSError: the file can't have that length.
    """
    with contextlib.suppress(OSError):
        sweep(paths)  # what killed processes left takes room too
    with _one_at_a_time(paths):
        check_room(
            paths,
            what,
            size,
            floor=floor,
            promised=promised(paths, but=file),
        )
        try:
            os.ftruncate(file, size)
        except OSError as error:
            if not is_refusal(error):
                raise


@contextlib.contextmanager
def reserved(paths: StorePaths, what: str, size: int, *, floor: int) -> Iterator[None]:
    """
    Keep so many bytes from being promised to uploads, for the block.

    :raises NotEnoughSpaceError: as above.
    :raises OSError: the folder can't be written.
    """
    with temporary_file(paths, RESTORES) as hole:
        reserve(paths, hole.descriptor, size, floor=floor, what=what)
        yield


def promised(
    paths: StorePaths, *, but: int | None = None, to: tuple[str, ...] = (UPLOADS, RESTORES)
) -> int:
    """
    How many bytes uploads and restores were promised and have not written yet. Reads only.

    :param but: the open file of one that does not count.
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
    Interrupt what this connection does in the block (``sqlite3.OperationalError``, with the code
    SQLITE_INTERRUPT) as soon as the disk has less free than the floor.
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
    """Best effort: where there are no such locks, or somebody keeps this one, it goes on."""
    descriptor = open_lock(paths.lock, owner_of=paths.database)
    try:
        end = time.monotonic() + ADMISSION_SECONDS
        while not locks.try_turn(descriptor, ADMISSION) and time.monotonic() < end:
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
