"""The bytes of an upload as they arrive on this machine's disk: written, hashed and counted."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backups.disk import files, room
from backups.exceptions import NotEnoughSpaceError, SnapshotTooLargeError, StoreFolderError
from backups.postgres.scratch import ScratchFile

HEAD_BYTES = 512


@dataclass(frozen=True)
class Arrived:
    """An upload as it arrived."""

    size: int  # bytes
    sha256: str
    head: bytes  # its first bytes


def receive(
    chunks: Iterable[bytes], file: ScratchFile, *, max_bytes: int, at_least: int, floor: int
) -> Arrived:
    """
    Write the chunks to an empty file.

    :param max_bytes: the most that is accepted; the rest is left unread.
    :param at_least: how many bytes were announced.
    :param floor: how many bytes of the disk stay free.
    :raises SnapshotTooLargeError: there are more.
    :raises NotEnoughSpaceError: the disk has no room for them.
    """
    folder = file.path.parent
    if at_least > max_bytes:
        raise _too_large(f"has at least {at_least:,} bytes and is", max_bytes)
    if not files.has_room(folder, at_least + floor):
        raise _no_room(folder, at_least, floor)
    digest, size, head, looked_at = hashlib.sha256(), 0, b"", 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _too_large("is", max_bytes)
        if size - looked_at >= room.LOOK_EVERY_BYTES:
            looked_at = size
            if not files.has_room(folder, floor + len(chunk)):
                raise _no_room(folder, max(size, at_least), floor)
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
        digest.update(chunk)
        try:
            files.write_all(file.descriptor, chunk)
        except OSError as error:
            if files.is_full(error):
                raise _no_room(folder, max(size, at_least), floor) from error
            raise StoreFolderError(
                f"The upload could not be written to {folder}: {files.words(error)}."
            ) from error
    return Arrived(size, digest.hexdigest(), head)


def _too_large(what: str, max_bytes: int) -> SnapshotTooLargeError:
    return SnapshotTooLargeError(
        f"The snapshot {what} larger than the limit of {max_bytes:,} bytes."
    )


def _no_room(folder: Path, needed: int, floor: int) -> NotEnoughSpaceError:
    free = files.free_bytes(folder)
    return NotEnoughSpaceError(
        f"The snapshot needs at least {needed:,} bytes in {folder}, and {free:,} are free:"
        f" {floor:,} stay free for the site (BACKUPS_KEEP_FREE_BYTES).",
        needed_bytes=needed,
        free_bytes=free,
    )
