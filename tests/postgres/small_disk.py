"""A disk of a few megabytes, to try what a full one does. It is a tmpfs, so only root can."""

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
    """Mount a small disk below this folder, for the block."""
    place = folder / "small"
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", "--lazy", str(place))


@cache
def can_be_mounted() -> bool:
    """Whether this user can mount one. In a container, even root may not."""
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
