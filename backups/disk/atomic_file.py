"""
Write a file that appears under its name only when it is whole: write beside it, then rename.

Other users may be able to write to the folder, e.g. /tmp. So the temporary file has a name that
nobody can guess, must be new, and is compared with the open file once it has its final name. If a
process is killed, the next run that writes to that folder removes its file: one whose name has
this form, which belongs to the same user, and whose lock nobody holds.
"""

import contextlib
import fcntl
import itertools
import os
import re
import secrets
import signal
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from backups.disk import attributes, files
from backups.exceptions import DestinationError

SYNC_BYTES = 16 * 1024**2  # 16 MiB: about 10 ms of a local disk
PART = re.compile(r"(.+)\.backups-[0-9a-f]{16}\.part", re.DOTALL)
LONGEST_BYTES = 255 - len(".backups-.part") - 16  # of a name that has room for that after it
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def save(
    chunks: Iterable[bytes],
    destination: Path,
    *,
    overwrite: bool = False,
    owner_of: Path | None = None,
) -> None:
    """
    Write ``chunks`` to ``destination``, readable only by its owner (0600).

    They go to ``<destination>.backups-<random>.part``, which is synced and then renamed; the folder
    is synced last. If anything fails, Ctrl-C included, the ``.part`` is removed and ``destination``
    is unchanged. Only a kill -9 leaves the ``.part``: see above.

    :param owner_of: if we are root, the file goes to the owner of this path once it is whole.
    :raises DestinationError: it exists and ``overwrite`` is false; another process is writing it;
        or the system refuses.
    """
    check(destination, overwrite=overwrite)
    if destination.name in _sweep(destination.parent):
        raise DestinationError(f"Another process is writing {destination}.")
    _save(chunks, [destination], overwrite=overwrite, owner_of=owner_of)


def save_as_new(chunks: Iterable[bytes], destination: Path) -> Path:
    """
    As ``save``, but if the name is taken or being written, use the next free one: ``name-2.db``,
    ``name-3.db`` … Returns the path.

    :raises DestinationError: as ``save``, except for a taken name.
    """
    check(destination, overwrite=True)
    being_written = _sweep(destination.parent)
    free = (path for path in _numbered(destination) if path.name not in being_written)
    return _save(chunks, free, overwrite=False)


def publish(part: Path, descriptor: int, destination: Path, *, overwrite: bool) -> None:
    """
    Give a file that the caller has written beside it its name, once it is on the disk.

    :raises DestinationError: as ``save``.
    """
    try:
        files.sync(descriptor)
        _check_is_ours(part, descriptor)
        if not _publish(part, destination, overwrite=overwrite):
            raise _exists(destination)
        _unlink_ours(part, descriptor)
        _check_is_ours(destination, descriptor)
        files.sync_folder(destination.parent)
    except OSError as error:
        said = error.strerror or error
        raise _no_room(f"{destination} could not be written: {said}.") from error


def _save(
    chunks: Iterable[bytes],
    names: Iterable[Path],
    *,
    overwrite: bool,
    owner_of: Path | None = None,
) -> Path:
    """Save under the first free name, and return it."""
    names = iter(names)
    destination = next(names)
    while not overwrite and os.path.lexists(destination):  # before the first chunk is requested
        destination = _next(names, destination)
    try:
        with _part_of(destination) as (part, descriptor):
            _write(descriptor, chunks)
            _check_is_ours(part, descriptor)
            if owner_of is not None:  # not earlier: root sweeps only what is its own
                attributes.give_to_owner_of(owner_of, descriptor)
            while not _publish(part, destination, overwrite=overwrite):
                destination = _next(names, destination)
            _check_is_ours(destination, descriptor)
            files.sync_folder(destination.parent)
    except OSError as error:
        said = error.strerror or error
        raise _no_room(f"{destination} could not be written: {said}.") from error
    return destination


def _next(names: Iterator[Path], taken: Path) -> Path:
    for path in names:
        return path
    raise _exists(taken)


def _numbered(destination: Path) -> Iterator[Path]:
    yield destination
    for number in itertools.count(2):
        yield destination.with_stem(f"{destination.stem}-{number}")


def _write(descriptor: int, chunks: Iterable[bytes]) -> None:
    """Write and sync in steps: other programs that commit to this disk wait for each sync."""
    unsynced = 0
    for chunk in chunks:
        files.write_all(descriptor, chunk)
        unsynced += len(chunk)
        if unsynced >= SYNC_BYTES:
            files.sync(descriptor)
            unsynced = 0
    files.sync(descriptor)


def check(destination: Path, *, overwrite: bool) -> None:
    """
    Refuse what ``save`` would refuse, before any work is done. Writes nothing.

    :raises DestinationError: the name is taken, or its folder is missing.
    """
    if not os.path.isdir(destination.parent):
        raise DestinationError(
            f"There is no folder {destination.parent}.", hint="Create it, or choose another."
        )
    if os.path.exists(destination) and not os.path.isfile(destination):
        raise DestinationError(f"{destination} is not a file.")  # a folder, a pipe, a device
    if not overwrite and os.path.lexists(destination):
        raise _exists(destination)


def within_room(chunks: Iterable[bytes], folder: Path, size: int | None) -> Iterator[bytes]:
    """
    Pass the chunks on while they fit on the disk of this folder.

    :param size: their total in bytes; None if it is unknown: then they may take half of the free
        space, since others write to that disk too.
    :raises DestinationError: they do not fit; with an unknown size, once they exceed that half.
    """
    free = files.free_bytes(folder)
    if size is not None and not files.has_room(folder, size):
        raise _no_room(f"The snapshot has {size:,} bytes, but {free:,} are free in {folder}.")
    most, received = free // 2, 0
    for chunk in chunks:
        received += len(chunk)
        if size is None and most and received > most:
            raise _no_room(
                f"The size of the snapshot is not known: the download stopped after {most:,} bytes,"
                f" half of the free space in {folder}."
            )
        yield chunk


def _no_room(message: str) -> DestinationError:
    return DestinationError(message, hint="Choose another place with -o, or make room.")


def _exists(destination: Path) -> DestinationError:
    return DestinationError(
        f"{destination} already exists.", hint="Choose another name, or pass --force."
    )


@contextlib.contextmanager
def _part_of(destination: Path) -> Iterator[tuple[Path, int]]:
    """Yield a locked, empty ``.part`` and its descriptor. Removes that name at the end."""
    # A signal that ends a command can raise anywhere. It must not do so between the creation of
    # the file and the block that removes it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        part, descriptor = _create_locked(destination)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            attributes.make_private(part, descriptor)
            yield part, descriptor
        finally:
            _unlink_ours(part, descriptor)
            os.close(descriptor)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _create_locked(destination: Path) -> tuple[Path, int]:
    """Create a ``.part`` and lock it, so that no other run mistakes it for a leftover."""
    while True:
        name = os.fsdecode(os.fsencode(destination.name)[:LONGEST_BYTES])
        part = destination.with_name(f"{name}.backups-{secrets.token_hex(8)}.part")
        descriptor = files.create_private(part)
        try:
            files.lock(descriptor, part.parent, wait=False)
            if files.is_named(part, descriptor):
                return part, descriptor
        except BlockingIOError:
            pass  # another run has locked it, and will remove it
        except BaseException:
            _unlink_ours(part, descriptor)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sweep(folder: Path) -> set[str]:
    """Remove the ``.part`` of each killed process. Returns the names that others are writing."""
    try:
        names = os.listdir(folder)
    except OSError:  # a folder can be writable but not readable
        return set()
    found = {name: form[1] for name in names if (form := PART.fullmatch(name))}
    return {name for part, name in found.items() if _is_being_written(folder / part, folder / name)}


def _is_being_written(part: Path, destination: Path) -> bool:
    """Whether a running process is writing this ``.part``. Removes a leftover of this user."""
    try:
        state = os.stat(part, follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
            return False  # not a file, or another user's
        if state.st_nlink > 1:  # don't open it: closing a database drops this process's locks on it
            if os.path.samestat(state, os.stat(destination, follow_symlinks=False)):
                files.unlink(part)  # killed after link(), before unlink()
            return False
        descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # it is gone now, or we may not open it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _unlink_ours(part, descriptor)
    except BlockingIOError:
        return True
    except OSError:  # e.g. no locks here: nobody knows whether it is in use
        return False
    finally:
        os.close(descriptor)
    return False


def _unlink_ours(part: Path, descriptor: int) -> None:
    if files.is_named(part, descriptor):  # else another file may have the name now
        files.unlink(part)


def _publish(part: Path, destination: Path, *, overwrite: bool) -> bool:
    """Give the file its name; False if that is taken. Replaces a file only if ``overwrite``."""
    if overwrite:
        files.replace(part, destination)
        return True
    try:
        files.link(part, destination)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        if os.path.lexists(destination):
            return False
        files.replace(part, destination)  # a file system without links
    return True


def _check_is_ours(path: Path, descriptor: int) -> None:
    """Where others can write to the folder, they may have put another file there."""
    if not files.is_named(path, descriptor):
        raise DestinationError(
            f"{path} is not the file that was written: another process has renamed files in"
            f" {path.parent}.",
            hint="Don't use that file. Choose a folder that only you can write.",
        )
