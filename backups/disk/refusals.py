"""
What a file system or a confinement refuses although nothing is wrong: which errors say so, and
one warning of what it means. A disk that fails (EIO) or is full is none of these.
"""

import errno
import functools
import logging
from pathlib import Path

from backups.disk.file_system import kind_of

# There is no such thing here: exFAT, CIFS, NFS, FUSE, 9p and others lack one or another.
NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
# Or not for us: SELinux, AppArmor, seccomp, a container without capabilities, another's file.
NOT_PERMITTED = (errno.EPERM, errno.EACCES)

logger = logging.getLogger(__name__)


def is_refusal(error: OSError) -> bool:
    """Whether the system does not do such a thing here, rather than failed to."""
    return error.errno in NOT_SUPPORTED + NOT_PERMITTED


@functools.cache
def warn(folder: Path, what: str) -> None:
    """Log, once per process, what is not available in this folder and what that means."""
    logger.warning("%s (%s): %s", folder, kind_of(folder) or "file system not known", what)
