"""How many bytes of a disk stay free for the site."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from backups.disk import files
from backups.exceptions import NotEnoughSpaceError

FLOOR_BYTES = 64 * 1024**2  # more than the WAL of a busy site grows between two checkpoints
SHARE = 20  # of a small disk the floor is the twentieth part
LOOK_EVERY_BYTES = 8 * 1024**2  # no more than this is written between two looks at the disk


def floor_of(folder: Path, asked: int | None) -> int:
    """How many bytes stay free for the site on this folder's disk; ``asked`` unless it is None."""
    if asked is not None:
        return asked
    with contextlib.suppress(OSError):  # the next step that needs the folder reports the error
        if total := files.disk_bytes(folder):
            return min(FLOOR_BYTES, total // SHARE)
    return FLOOR_BYTES


def leaving_room(chunks: Iterable[bytes], folder: Path, *, floor: int) -> Iterator[bytes]:
    """
    Pass the chunks on while the disk of this folder keeps the floor free.

    :raises NotEnoughSpaceError: it would not. What was passed on is not whole.
    """
    written, unlooked = 0, LOOK_EVERY_BYTES
    for chunk in chunks:
        unlooked += len(chunk)
        if unlooked >= LOOK_EVERY_BYTES:
            unlooked = 0
            if not files.has_room(folder, floor + LOOK_EVERY_BYTES):
                raise _no_room(folder, written, floor=floor)
        yield chunk
        written += len(chunk)


def _no_room(folder: Path, written: int, *, floor: int) -> NotEnoughSpaceError:
    """The error that says how much is missing for the next part of a file of unknown size."""
    free = files.free_bytes(folder)
    missing = LOOK_EVERY_BYTES + floor - free
    return NotEnoughSpaceError(
        f"{written:,} bytes of the file are written. The next part takes up to {LOOK_EVERY_BYTES:,}"
        f" bytes in {folder}, and {free:,} are free: {floor:,} stay free for the site"
        f" (BACKUPS_KEEP_FREE_BYTES), so {missing:,} are missing.",
        needed_bytes=LOOK_EVERY_BYTES,
        free_bytes=free,
    )
