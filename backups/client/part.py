"""
What has arrived of a file, under another name beside the final one: a later run goes on with it.

Other users may be able to write to the folder, e.g. /tmp. So a part is used only if it is an
ordinary file of this user that no other name leads to.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backups.disk import atomic_file, attributes, files
from backups.exceptions import DestinationError

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
TAG_LETTERS = 16  # of what it is to become


class Part:
    """An open part, which this process alone may write."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Reads what is there already."""
        self.path, self._descriptor = path, descriptor
        self.size, self._digest = 0, hashlib.sha256()
        self.is_worth_keeping = True  # once it has some bytes
        for chunk in _chunks(descriptor):
            self._digest.update(chunk)
            self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Of what has arrived."""
        return self._digest.hexdigest()

    def append(self, chunk: bytes) -> None:
        """:raises DestinationError: it can't be written."""
        try:
            files.write_all(self._descriptor, chunk)
        except OSError as error:
            raise DestinationError(
                f"{self.path} could not be written: {error.strerror or error}.",
                hint="Choose another place with -o, or make room.",
            ) from error
        self._digest.update(chunk)
        self.size += len(chunk)

    def clear(self) -> None:
        """Begin anew."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size, self._digest = 0, hashlib.sha256()

    def publish(self, destination: Path, *, overwrite: bool) -> None:
        """Give it its name. :raises DestinationError: that is taken, or the system refuses."""
        atomic_file.publish(self.path, self._descriptor, destination, overwrite=overwrite)


@contextmanager
def open_part(destination: Path, tag: str) -> Iterator[Part]:
    """
    For a block that writes it. If it fails, what has arrived stays, unless it is not worth keeping.

    :param tag: says which content it is to become, e.g. its SHA-256.
    :raises DestinationError: another process is writing it, or it can't be used.
    """
    path = destination.with_name(f"{destination.name}.{tag[:TAG_LETTERS]}.part")
    try:
        descriptor = _open(path)
    except OSError as error:
        raise DestinationError(f"{path} can't be written: {error.strerror}.") from error
    part = None
    try:
        part = Part(path, descriptor)
        yield part
    finally:
        is_kept = part is not None and part.size > 0 and part.is_worth_keeping
        if not is_kept and files.is_named(path, descriptor):
            files.unlink(path)
        os.close(descriptor)


def _open(path: Path) -> int:
    """A descriptor of the part, which is locked and has this name."""
    while True:
        descriptor = os.open(path, FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if files.is_named(path, descriptor) and _is_usable(path, descriptor):
                attributes.make_private(path, descriptor)
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise DestinationError(f"Another process is writing {path}.") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_usable(path: Path, descriptor: int) -> bool:
    """False if it was removed, to be made anew."""
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
        raise DestinationError(f"{path} is in the way: it is not a file of this user.")
    if state.st_nlink > 1:  # killed when it had just got its final name too
        files.unlink(path)
        return False
    return True


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, files.CHUNK_BYTES):
        yield chunk
