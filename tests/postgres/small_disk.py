"""A disk of a few megabytes, for what a server does when it is full: a tmpfs, which is root's."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

MEGABYTES = 200  # of which an empty server takes a quarter
SMALL_LOG = ("max_wal_size=32MB", "min_wal_size=32MB", "wal_recycle=off")  # of its changes


@contextmanager
def small_disk(folder: Path, megabytes: int = MEGABYTES) -> Iterator[Path]:
    """A folder on one, below another."""
    place = folder / "small"
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", "--lazy", str(place))


@cache
def can_be_mounted() -> bool:
    """Whether this user may: in a container, not even root may."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder)):
                return True
        except subprocess.CalledProcessError:
            return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
