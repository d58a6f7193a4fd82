"""
Locks on open files (flock), which end with their process. Every wait has a limit.

Anybody who may read a file can hold a lock on it for ever. So the files that we lock are readable
only by their owner (0600). Other users can often read a folder: there we first lock a private file,
which exists only while somebody holds it, and this lock decides. We lock the folder too, since a
process that can't create that file (the disk is full) has only this lock. Strangers' locks on the
folder are ignored.
"""

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from backups.disk.refusals import NOT_PERMITTED, NOT_SUPPORTED, warn

# NFS gives the last two if no lock server runs, or for a read-only descriptor.
NO_LOCKS = (*NOT_SUPPORTED, *NOT_PERMITTED, errno.ENOLCK, errno.EBADF)
PRIVATE = ".backups.lock"
OTHERS_OPEN = 0o044  # read permission is enough to open a folder
OTHERS_WRITE = 0o022
# Most holders need milliseconds; a restore while the site runs needs seconds.
LOCK_SECONDS = 30.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.05  # seconds between two tries


def lock(descriptor: int, folder: Path, *, wait: bool = True) -> None:
    """
    Lock an open file in a folder, or the folder itself, until it is closed. The lock is advisory.

    Where locks are not supported, this logs a warning and does nothing.

    :raises BlockingIOError: another process holds it, and ``wait`` is false.
    :raises TimeoutError: another has held it for ``LOCK_SECONDS``; the message says which.
    """
    try:
        for _ in _tries(descriptor, folder):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
            else:
                return
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn(
            folder,
            f"files can't be locked ({error.strerror}). Run one backup or restore at a time."
            " Temporary files that a killed process leaves there are not removed.",
        )


@contextlib.contextmanager
def exclusive_folder(folder: Path) -> Iterator[int]:
    """
    Let one thread of one process at a time change the names in ``folder``.

    The lock leaves no file, and ends with its process. Yields its descriptor: a child that
    inherits it holds the lock too, until both have ended.

    :raises TimeoutError: another has held it for ``LOCK_SECONDS``; the message says which.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _private_lock(folder, os.fstat(descriptor)) as private:
            if private is None:
                lock(descriptor, folder)
            else:
                _lock_but_for_strangers(descriptor, folder)
            yield descriptor if private is None else private
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _private_lock(folder: Path, status: os.stat_result) -> Iterator[int | None]:
    """
    Lock the private file of a folder that others may open, and remove it afterwards. Yields None if
    others can't open the folder, or no file can be created in it: then its own lock must do.
    """
    path = folder / PRIVATE
    descriptor = _lock_private(path, status) if status.st_mode & OTHERS_OPEN else None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):  # the next holder uses the file that stays
                os.unlink(path)
            os.close(descriptor)


def _lock_private(path: Path, status: os.stat_result) -> int | None:
    while True:
        try:
            descriptor = _open_private(path, status)
        except OSError:  # e.g. a full disk, where discarding a restore must still work
            return None
        try:
            lock(descriptor, path.parent)
            if is_named(path, descriptor):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has removed it


def _open_private(path: Path, status: os.stat_result) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            with contextlib.suppress(OSError):  # a kill may leave it for the others to use
                _share_private(descriptor, status)
            return descriptor


def _share_private(descriptor: int, folder: os.stat_result) -> None:
    """Let the users who may write to the folder open the lock file, and nobody else."""
    os.fchown(descriptor, folder.st_uid if os.geteuid() == 0 else -1, folder.st_gid)
    may_write = folder.st_mode & OTHERS_WRITE
    os.fchmod(descriptor, 0o600 | may_write | may_write << 1)


def _lock_but_for_strangers(descriptor: int, folder: Path) -> None:
    """
    Lock a folder whose private file we hold. A stranger's lock is ignored, with a warning.

    :raises TimeoutError: a process of this user, of the folder's owner or of root holds it.
    """
    from backups.disk.lock_holders import describe_holders, holders

    status = os.fstat(descriptor)
    ours = {0, os.geteuid(), status.st_uid}
    try:
        lock(descriptor, folder, wait=False)
    except BlockingIOError:
        if any(_user(pid) in ours for pid in holders(status)):
            lock(descriptor, folder)
            return
        warn(
            folder,
            f"it is locked by {describe_holders(folder)}, which is ignored: other users may open"
            f" the folder. Close it with: chmod go-rwx '{folder}'",
        )


def _tries(descriptor: int, folder: Path) -> Iterator[None]:
    """
    Yield once for each try, with pauses in between.

    :raises TimeoutError: after ``LOCK_SECONDS``; the message says who holds the lock.
    """
    end, pause = time.monotonic() + LOCK_SECONDS, SHORTEST_PAUSE
    while True:
        yield
        if time.monotonic() > end:
            from backups.disk.lock_holders import describe_holders

            path = _path_of(descriptor) or folder
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"locked for more than {LOCK_SECONDS:g} seconds by {describe_holders(path)}."
                " Try again when it is done, or end it if it hangs",
                str(path),
            )
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _path_of(descriptor: int) -> Path | None:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return None


def is_named(path: Path, descriptor: int) -> bool:
    """Whether ``path`` itself, not a link's target, is still the name of this open file."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    return False


def _user(pid: int) -> int | None:
    """The user a process runs as now. (Its folder in /proc can be root's all the same.)"""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        if found := re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE):
            return int(found[1])
    return None
