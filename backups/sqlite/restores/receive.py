"""The bytes of an upload as they arrive: written, hashed and counted, within the room there is."""

import os
from collections.abc import Iterable

from backups.disk import files, room
from backups.exceptions import NotEnoughSpaceError, SnapshotTooLargeError, StoreFolderError
from backups.sqlite import disk_space
from backups.sqlite.folder.digest import Digest
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import Temporary


def receive(
    incoming: Temporary,
    chunks: Iterable[bytes],
    paths: StorePaths,
    *,
    max_bytes: int,
    at_least: int,
    floor: int,
) -> tuple[int, str]:
    """
    Write the chunks, hashing them as they pass. Returns their length and SHA-256.

    Checks the free space again and again: the site and its snapshots use the disk while bytes
    arrive, and a few bytes, unpacked, can become more than any disk has. For bytes beyond those
    announced, the room promised to others counts too.

    :param at_least: how many bytes were announced, and are reserved.
    :param floor: how many bytes of the disk stay free for the site.
    """
    size, looked_at = 0, 0
    with Digest() as digest:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise too_large(None, max_bytes)
            if size - looked_at >= room.LOOK_EVERY_BYTES:
                others = (
                    disk_space.promised(paths, but=incoming.descriptor) if size > at_least else 0
                )
                if not files.has_room(paths.folder, floor + others + len(chunk)):
                    raise _no_room(paths, max(size, at_least), floor, others)
                looked_at = size
            digest.update(chunk)
            try:
                files.write_all(incoming.descriptor, chunk)
            except OSError as error:
                raise explain(error, paths, size, floor) from error
        os.ftruncate(incoming.descriptor, size)  # without the hole, if more was announced
        return size, digest.hexdigest()


def explain(
    error: OSError, paths: StorePaths, size: int, floor: int, *, what: str = "staged"
) -> NotEnoughSpaceError | StoreFolderError:
    if files.is_full(error):
        return _no_room(paths, size, floor)
    return StoreFolderError(
        f"The snapshot could not be {what} in {paths.folder}: {files.words(error)}."
    )


def _no_room(paths: StorePaths, needed: int, floor: int, promised: int = 0) -> NotEnoughSpaceError:
    what = "The snapshot needs at least"
    return disk_space.no_room(paths, what, needed, floor=floor, promised=promised)


def too_large(size: int | None, max_bytes: int) -> SnapshotTooLargeError:
    what = "is" if size is None else f"has at least {size:,} bytes and is"
    return SnapshotTooLargeError(
        f"The snapshot {what} larger than the limit of {max_bytes:,} bytes."
    )
