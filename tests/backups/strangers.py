"""Another user of the machine, who may read what is open to everybody and nothing else."""

import fcntl
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from tests.backups import builders

IS_ROOT = os.geteuid() == 0
NOBODY = 65534  # a user whom every machine has
READ_LOCK = struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


def become_nobody() -> None:
    """From now on this process is another user; without root's help it stays who it is."""
    if IS_ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@contextmanager
def open_folder(mode: int = 0o755) -> Iterator[Path]:
    """A folder that others can reach; pytest's own lie below one that only root may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(mode)
    try:
        yield folder
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def holding(path: Path, lock: Callable[[int], object], *, is_us: bool = False) -> Iterator[int]:
    """A process of a stranger, or of ours, opens this for reading and locks it; yields its pid."""

    def work(requests: IO[str], answers: IO[str]) -> None:
        if not is_us:
            become_nobody()
        try:
            lock(os.open(path, os.O_RDONLY))
            print("locked", file=answers)
        except OSError as error:
            print(error.strerror, file=answers)
        requests.readline()

    with builders.forked(work) as (pid, _, answers):
        said = answers.readline().strip()
        assert said == "locked", said
        yield pid


def flocked(path: Path, *, is_us: bool = False) -> AbstractContextManager[int]:
    """The whole file or folder, by flock."""
    return holding(path, lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_SH), is_us=is_us)


def read_locked(path: Path) -> AbstractContextManager[int]:
    """The whole file, by a read lock of the open file description."""
    return holding(path, lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, READ_LOCK))
