"""
Which kind of file system a folder is on. Reads only.

Source: proc_pid_mountinfo(5).
"""

import os
import re
from pathlib import Path

# A file on these has one page cache: what one process writes through mmap(2) or write(2), another
# reads at once. SQLite's WAL needs that, and a network file system does not offer it:
# https://www.sqlite.org/wal.html#overview
LOCAL = (
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs",
)  # fmt: skip
# Several machines can use these at once, and do not see each other's locks and memory in time.
NETWORK = (
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
)  # fmt: skip
# A program serves these, mostly from elsewhere (sshfs, s3fs, rclone …). FUSE_HERE are local.
FUSE, FUSE_HERE = "fuse.", ("bindfs", "encfs", "fuse-overlayfs", "gocryptfs", "mergerfs", "zfs")
LAYERS = ("aufs", "overlay", "fuse.fuse-overlayfs")  # a container's own files are on these
MOUNTS = Path("/proc/self/mountinfo")


def is_local(folder: Path) -> bool:
    """Whether the folder is on a file system of this machine; False for an unknown kind."""
    return kind_of(folder) in LOCAL


def is_on_network(folder: Path) -> bool:
    """Whether the folder is on a kind of file system that other machines can share."""
    kind = kind_of(folder) or ""
    if kind.startswith(FUSE):
        return kind.removeprefix(FUSE) not in FUSE_HERE
    return kind in NETWORK


def is_container_layer(folder: Path) -> bool:
    """Whether the folder is in a container's own layer, and not on a mounted volume."""
    mount = _mount_of(folder)
    return mount is not None and mount[0] == "/" and mount[1] in LAYERS


def kind_of(folder: Path) -> str | None:
    """The kind, as ``mount`` calls it, e.g. ``ext4``; None if it is unknown."""
    mount = _mount_of(folder)
    return mount[1] if mount else None


def _mount_of(folder: Path) -> tuple[str, str] | None:
    """The mount point of the folder's file system, and the kind."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, deepest = os.path.realpath(folder), ("", "")
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _unescape(fields.split(" ")[4])
        # A later mount hides an earlier one at the same place.
        if _holds(point, real) and len(point) >= len(deepest[0]):
            deepest = point, rest.partition(" ")[0]
    return deepest if deepest[0] else None


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")


def _unescape(text: str) -> str:
    r"""A space in a name is written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
