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
# Several machines can have these open: their locks and their memory are not shared in time.
NETWORK = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
)
# A program serves these, mostly what is elsewhere (sshfs, s3fs, rclone …); but these are not.
FUSE, FUSE_HERE = "fuse.", ("bindfs", "encfs", "fuse-overlayfs", "gocryptfs", "mergerfs", "zfs")
LAYERS = ("aufs", "overlay", "fuse.fuse-overlayfs")  # of which a container's own files are made
MOUNTS = Path("/proc/self/mountinfo")


def is_local(folder: Path) -> bool:
    """Whether this is a file system of this machine; no for a kind that is not known."""
    return kind_of(folder) in LOCAL


def is_on_network(folder: Path) -> bool:
    """Whether this is known to be shared with other machines."""
    kind = kind_of(folder) or ""
    if kind.startswith(FUSE):
        return kind.removeprefix(FUSE) not in FUSE_HERE
    return kind in NETWORK


def is_container_layer(folder: Path) -> bool:
    """Whether this belongs to a container alone: nothing is mounted there but its root."""
    mount = _mount_of(folder)
    return mount is not None and mount[0] == "/" and mount[1] in LAYERS


def kind_of(folder: Path) -> str | None:
    """The kind, as ``mount`` calls it, e.g. ``ext4``; None if the system does not tell."""
    mount = _mount_of(folder)
    return mount[1] if mount else None


def _mount_of(folder: Path) -> tuple[str, str] | None:
    """Where what this folder is on is mounted, and its kind."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, deepest = os.path.realpath(folder), ("", "")
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _unescape(fields.split(" ")[4])
        # What is mounted later hides what was mounted at the same place before.
        if _holds(point, real) and len(point) >= len(deepest[0]):
            deepest = point, rest.partition(" ")[0]
    return deepest if deepest[0] else None


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")


def _unescape(text: str) -> str:
    r"""A space in a name is written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
