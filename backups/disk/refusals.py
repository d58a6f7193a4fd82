"""
What a file system or a sandbox refuses although nothing is wrong: which errors mean this, and one
warning about the consequences. A failing disk (EIO) or a full one is not a refusal.
"""

import errno
import functools
import logging
from pathlib import Path

from backups.disk.file_system import kind_of

# Not available here: exFAT, CIFS, NFS, FUSE, 9p and others each lack something.
NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
# Not allowed: SELinux, AppArmor, seccomp, a container without capabilities, another user's file.
NOT_PERMITTED = (errno.EPERM, errno.EACCES)

logger = logging.getLogger(__name__)


def is_refusal(error: OSError) -> bool:
    """Whether the system refused the step, rather than tried it and failed."""
    return error.errno in NOT_SUPPORTED + NOT_PERMITTED


@functools.cache
def warn(folder: Path, what: str) -> None:
    """Log, once per process, what is not available in this folder and what that means."""
    logger.warning("%s (%s): %s", folder, kind_of(folder) or "unknown file system", what)
