"""
A file's owner, mode and extended attributes: who may open it.

What can't be set is skipped with a warning, unless that would lock somebody out. Each value is
compared first, since some systems refuse even to set the value that is already there.
"""

import errno
import os
import stat
from pathlib import Path

from backups.disk.refusals import is_refusal, warn

READ_AND_WRITE = 0o666
DECIDES_WHO_MAY_OPEN = "system."  # ACLs; not labels (security.*) or users' notes (user.*)
ACL = "system.posix_acl_access"


def copy_attributes(source: Path, destination: Path) -> None:
    """
    Give ``destination`` the owner, mode and extended attributes (ACL, SELinux label) of ``source``.

    :raises PermissionError: if we may not, and somebody who can open ``source`` might be unable to
        open ``destination``: then the caller must not put it in place.
    """
    wanted = os.stat(source)
    _copy_owner(wanted, destination)
    copy_acl(source, destination)  # before the mode, whose group bits put an ACL in force
    _copy_mode(wanted, destination)
    for name in _names(source):
        if name != ACL:
            _copy_extended(name, source, destination)


def copy_acl(source: Path, destination: Path | int) -> None:
    """
    Give ``destination`` the ACL of ``source``, or none if that has none: a new file may inherit one
    from its folder, which lets other users in as soon as the group gets a permission.

    :raises OSError: the system refuses, and different users could open the two files.
    """
    if ACL in _names(source):
        _copy_extended(ACL, source, destination)
    elif ACL in _names(destination):
        os.removexattr(destination, ACL)


def give_to_owner_of(path: Path, descriptor: int) -> None:
    """
    If we are root, give an open file to the owner of this path, so that the server can read it.
    Does nothing if the path is missing; warns if root lacks the capability.
    """
    if os.geteuid() != 0:
        return
    try:
        wanted, now = os.stat(path), os.fstat(descriptor)
        if _owner(wanted) != _owner(now):
            os.fchown(descriptor, *_owner(wanted))
    except FileNotFoundError:
        return
    except OSError as error:
        if not is_refusal(error):
            raise
        warn(path, "root can't give new files to its owner here, who then can't read them.")


def make_private(path: Path, descriptor: int) -> None:
    """Let only its owner open a file that we made (0600), where the file system can do that."""
    if _mode(os.fstat(descriptor)) == 0o600:
        return
    try:
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        if not is_refusal(error):
            raise
    if others := _mode(os.fstat(descriptor)) & 0o077:
        what = "read" if others & 0o044 else "open"
        warn(path.parent, f"other users may {what} the files there, and chmod can't change that.")


def _copy_owner(wanted: os.stat_result, destination: Path) -> None:
    if _owner(wanted) == _owner(os.stat(destination)):
        return
    try:
        os.chown(destination, *_owner(wanted))
    except OSError as error:
        if not (is_refusal(error) and _is_open_to_all(_mode(wanted))):
            raise
        uid, gid = _owner(wanted)
        warn(
            destination.parent,
            f"the database can't be given back to uid {uid}, gid {gid}. All users who could open"
            " it still can.",
        )


def _is_open_to_all(mode: int) -> bool:
    """Whether its owner and its group may do no more than everybody else."""
    owner, group, others = mode >> 6 & 6, mode >> 3 & 6, mode & 6
    return not (owner & ~group or (owner | group) & ~others)


def _copy_mode(wanted: os.stat_result, destination: Path) -> None:
    now = os.stat(destination)
    if _mode(now) == _mode(wanted):
        return
    try:
        os.chmod(destination, _mode(wanted))
    except OSError as error:
        if not is_refusal(error) or _mode(wanted) & ~_mode(now) & READ_AND_WRITE:
            raise
        warn(
            destination.parent,
            f"the database has the mode {_mode(now):o}, and can't be set back to"
            f" {_mode(wanted):o}. More users may open it.",
        )


def _names(path: Path | int) -> list[str]:
    """The names of its extended attributes; empty if there are none or we may not list them."""
    if not hasattr(os, "listxattr"):
        return []
    try:
        return os.listxattr(path)
    except OSError as error:
        if not is_refusal(error):
            raise
        if error.errno != errno.EOPNOTSUPP and isinstance(path, Path):
            warn(path.parent, "extended attributes can't be listed. A restore does not copy them.")
        return []


def _copy_extended(name: str, source: Path, destination: Path | int) -> None:
    try:
        wanted = _extended(name, source)
        if wanted is not None and wanted != _extended(name, destination):
            os.setxattr(destination, name, wanted)
    except OSError as error:
        if not is_refusal(error) or name.startswith(DECIDES_WHO_MAY_OPEN):
            raise
        warn(
            source.parent,
            f"the extended attribute {name} can't be copied ({error.strerror}). The database has"
            " the system's default for a new file.",
        )


def _extended(name: str, path: Path | int) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return None


def _owner(status: os.stat_result) -> tuple[int, int]:
    return status.st_uid, status.st_gid


def _mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)
