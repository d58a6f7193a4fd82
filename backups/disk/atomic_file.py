"""
A file that appears under its name only when it is whole: written beside it, then renamed.

The folder may be one that others can write too, such as /tmp. So what is written has a name that
nobody can foresee, is made by us and by nobody else, and is looked at again once it has its name.
What a kill -9 leaves is removed by the next run that writes into that folder: it has the form of
our names, is its user's own, and no process holds its lock.
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
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def save(chunks: Iterable[bytes], destination: Path, *, overwrite: bool = False) -> None:
    """
    Write ``chunks`` to ``destination``, for its owner alone (0600).

    They go to ``<destination>.backups-<random>.part``, which is synced and then takes the name; the
    folder is synced last. If anything fails, also Ctrl-C, the ``.part`` is removed and whatever was
    at ``destination`` is as it was. What a kill -9 leaves is a ``.part``, which the next run that
    writes into this folder removes.

    :raises DestinationError: it exists and ``overwrite`` is false; another process writes it;
        or the system refuses.
    """
    check(destination, overwrite=overwrite)
    if destination.name in _sweep(destination.parent):
        raise DestinationError(f"Another process is writing {destination}.")
    _save(chunks, [destination], overwrite=overwrite)


def save_as_new(chunks: Iterable[bytes], destination: Path) -> Path:
    """
    As ``save``, but where the name is taken, or is being written, under the next that is free:
    ``name-2.db``, ``name-3.db`` … Returns the path.

    :raises DestinationError: as ``save``, but for a name that is taken.
    """
    check(destination, overwrite=True)
    being_written = _sweep(destination.parent)
    free = (path for path in _numbered(destination) if path.name not in being_written)
    return _save(chunks, free, overwrite=False)


def _save(chunks: Iterable[bytes], names: Iterable[Path], *, overwrite: bool) -> Path:
    """Under the first of the names that is free. Returns it."""
    names = iter(names)
    destination = next(names)
    while not overwrite and os.path.lexists(destination):  # before anything is asked for
        destination = _next(names, destination)
    try:
        with _part_of(destination) as (part, descriptor):
            _write(descriptor, chunks)
            _check_is_ours(part, descriptor)
            while not _publish(part, destination, overwrite=overwrite):
                destination = _next(names, destination)
            _check_is_ours(destination, descriptor)
            files.sync_folder(destination.parent)
    except OSError as error:
        raise DestinationError(
            f"{destination} could not be written: {error.strerror or error}.",
            hint="Choose another place with -o, or make room.",
        ) from error
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
    """Write and sync them, some at a time: others that commit on this disk wait for each sync."""
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
    Tell before any work is done whether ``save`` would refuse this destination. Writes nothing.

    :raises DestinationError: it is taken, or its folder is not there.
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
    Pass them on, if they have room on the disk of this folder.

    :param size: how many bytes they are; None if nobody has said, and then they may take half of
        what is free: others write to that disk too.
    :raises DestinationError: they have not; of an unknown size, once that much has come.
    """
    free = files.free_bytes(folder)
    if size is not None and not files.has_room(folder, size):
        raise _too_large(f"The snapshot has {size:,} bytes, and {free:,} are free in {folder}.")
    most, received = free // 2, 0
    for chunk in chunks:
        received += len(chunk)
        if size is None and most and received > most:
            raise _too_large(
                f"Nobody said how long the snapshot is: the download stopped after {most:,} bytes,"
                f" half of what was free in {folder}."
            )
        yield chunk


def _too_large(message: str) -> DestinationError:
    return DestinationError(message, hint="Choose another place with -o, or make room.")


def _exists(destination: Path) -> DestinationError:
    return DestinationError(
        f"{destination} already exists.", hint="Choose another name, or pass --force."
    )


@contextlib.contextmanager
def _part_of(destination: Path) -> Iterator[tuple[Path, int]]:
    """The locked, empty ``.part``; gone at the end, whether it was renamed or not."""
    # A signal that ends a command raises wherever the process is: not between the moment in
    # which the file is there and the one in which it is sure to be removed.
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
    """Make a new ``.part`` and lock it, so that no other run takes it for one that was left."""
    while True:
        part = destination.with_name(f"{destination.name}.backups-{secrets.token_hex(8)}.part")
        descriptor = files.create_private(part)
        try:
            files.lock(descriptor, part.parent, wait=False)
            if files.is_named(part, descriptor):
                return part, descriptor
        except BlockingIOError:
            pass  # another run is looking at it, and will remove it
        except BaseException:
            _unlink_ours(part, descriptor)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sweep(folder: Path) -> set[str]:
    """
    Remove each ``.part`` of this user that a killed process left. Returns the names that living
    ones are writing.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # a folder may take files and show none
        return set()
    found = {name: form[1] for name in names if (form := PART.fullmatch(name))}
    return {name for part, name in found.items() if _is_being_written(folder / part, folder / name)}


def _is_being_written(part: Path, destination: Path) -> bool:
    """Whether a living process writes this one. Removed if a process of this user left it."""
    try:
        state = os.stat(part, follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
            return False  # somebody else's
        if state.st_nlink > 1:  # not opened: to close what may be a database drops its locks
            if os.path.samestat(state, os.stat(destination, follow_symlinks=False)):
                files.unlink(part)  # killed between the two names of a whole file
            return False
        descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # just gone, or we may not
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _unlink_ours(part, descriptor)
    except BlockingIOError:
        return True
    except OSError:  # e.g. there are no locks here, and nobody knows whether it is in use
        return False
    finally:
        os.close(descriptor)
    return False


def _unlink_ours(part: Path, descriptor: int) -> None:
    if files.is_named(part, descriptor):  # else the name may be another's now
        files.unlink(part)


def _publish(part: Path, destination: Path, *, overwrite: bool) -> bool:
    """
    Give the whole file its name; never over a file that is there, unless asked. Returns whether it
    has the name.
    """
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
    """In a folder that others can write, one of them may have put another file in our way."""
    if not files.is_named(path, descriptor):
        raise DestinationError(
            f"{path} is not the file that was written: another process has changed the names in"
            f" {path.parent}.",
            hint="Don't use that file. Choose a folder that only you can write.",
        )
