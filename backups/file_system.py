"""
On which kind of file system a folder is. Reads only.

Source: proc_pid_mountinfo(5).
"""

import os
import re
from pathlib import Path

# On these a file has one page cache, so that what one process writes through mmap(2) or
# write(2) is what another reads at once. SQLite's WAL asks for no less, and a network file
# system does not give it: https://www.sqlite.org/wal.html#overview
LOCAL = (
    "bcachefs",
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "jfs",
    "overlay",
    "tmpfs",
    "xfs",
    "zfs",
)
MOUNTS = Path("/proc/self/mountinfo")


def is_local(folder: Path) -> bool:
    """Whether this is a file system of this machine; no for a kind that is not known."""
    return kind_of(folder) in LOCAL


def kind_of(folder: Path) -> str | None:
    """The kind, as ``mount`` calls it, e.g. ``ext4``; None if the system does not tell."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, deepest, kind = os.path.realpath(folder), "", None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _unescape(fields.split(" ")[4])
        # What is mounted later hides what was mounted at the same place before.
        if _holds(point, real) and len(point) >= len(deepest):
            deepest, kind = point, rest.partition(" ")[0]
    return kind


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")


def _unescape(text: str) -> str:
    r"""A space in a name is written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
