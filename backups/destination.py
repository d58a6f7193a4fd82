"""A file that appears under its name only when it is whole: written as ``.part``, then renamed."""

import contextlib
import fcntl
import itertools
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from backups import attributes, files
from backups.exceptions import DestinationError

SYNC_BYTES = 16 * 1024**2  # 16 MiB: about 10 ms of a local disk
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _TakenError(DestinationError):
    """The name is another file's, or is going to be."""


def save(chunks: Iterable[bytes], destination: Path, *, overwrite: bool = False) -> None:
    """
    Write ``chunks`` to ``destination``, for its owner alone (0600).

    They go to ``<destination>.part``, which is synced and then takes the name; the folder is
    synced last. If anything fails, also Ctrl-C, the ``.part`` is removed and whatever was at
    ``destination`` is as it was. What a kill -9 leaves is a ``.part``, which the next try removes.

    :raises DestinationError: it exists and ``overwrite`` is false; another process writes it;
        or the system refuses.
    """
    check(destination, overwrite=overwrite)
    try:
        with _part_of(destination) as (part, descriptor):
            if not overwrite:  # the last owner of the part may have published it
                _refuse_existing(destination)
            _write(descriptor, chunks)
            _publish(part, destination, overwrite=overwrite)
            files.sync_folder(destination.parent)
    except OSError as error:
        raise DestinationError(
            f"{destination} could not be written: {error.strerror or error}.",
            hint="Choose another place with -o, or make room.",
        ) from error


def save_as_new(chunks: Iterable[bytes], destination: Path) -> Path:
    """
    As ``save``, but where the name is taken, or is being written, under the next that is free:
    ``name-2.db``, ``name-3.db`` … Returns the path.

    :raises DestinationError: as ``save``, but for a name that is taken.
    """
    begun = []

    def noted() -> Iterator[bytes]:
        begun.append(True)
        yield from chunks

    for path in _numbered(destination):
        try:
            save(noted(), path)
            return path
        except _TakenError:
            if begun:  # a program that is none of ours took the name at the last moment
                raise
    raise AssertionError("there is always a next name")


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
    if not overwrite:
        _refuse_existing(destination)


def _refuse_existing(destination: Path) -> None:
    if os.path.lexists(destination):
        raise _TakenError(
            f"{destination} already exists.", hint="Choose another name, or pass --force."
        )


@contextlib.contextmanager
def _part_of(destination: Path) -> Iterator[tuple[Path, int]]:
    """The locked, empty ``.part``; gone at the end, whether it was renamed or not."""
    part = destination.with_name(f"{destination.name}.part")
    # A signal that ends a command raises wherever the process is: not between the moment in
    # which the file is there and the one in which it is sure to be removed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        descriptor = _create_locked(part)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            attributes.make_private(part, descriptor)
            yield part, descriptor
        finally:
            _unlink_ours(part, descriptor)
            os.close(descriptor)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _create_locked(part: Path) -> int:
    """Create and lock a new ``.part``, so that it is nobody else's, whatever its mode will be."""
    while True:
        _remove_left(part)
        try:
            descriptor = files.create_private(part)
        except FileExistsError:
            continue
        try:
            files.lock(descriptor, part.parent, wait=False)
            if files.is_named(part, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise _is_written(part) from None
        except BaseException:
            _unlink_ours(part, descriptor)
            os.close(descriptor)
            raise
        os.close(descriptor)  # another took it for one that was left


def _remove_left(part: Path) -> None:
    """Remove what a killed process left; never a file that has just been published."""
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _unlink_ours(part, descriptor)
    except BlockingIOError:
        raise _is_written(part) from None
    except OSError as error:
        if error.errno not in files.NO_LOCKS:
            raise
        raise DestinationError(
            f"{part} exists. Its file system has no locks, so it is not known whether"
            " another process is writing it.",
            hint="Remove it if no process is.",
        ) from error
    finally:
        os.close(descriptor)


def _unlink_ours(part: Path, descriptor: int) -> None:
    if files.is_named(part, descriptor):  # else the name may be another's now
        files.unlink(part)


def _is_written(part: Path) -> _TakenError:
    return _TakenError(f"Another process is writing {part}.")


def _publish(part: Path, destination: Path, *, overwrite: bool) -> None:
    """Give the whole file its name; never over a file that has just appeared, unless asked."""
    if overwrite:
        files.replace(part, destination)
        return
    try:
        files.link(part, destination)
    except FileExistsError:
        _refuse_existing(destination)
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        _refuse_existing(destination)  # a file system without links
        files.replace(part, destination)
