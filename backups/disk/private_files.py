"""
Files that only their owner may read, in folders where strangers can't replace them.

Each is written beside its final name, synced and then renamed, so that a reader always finds
either the old content or the new, never a part. Does not import Django, so settings can use it.
"""

import contextlib
import errno
import grp
import os
import pwd
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from backups.disk import files

OTHERS = 0o077  # the permission bits of the group and of everybody else
ROOT = 0


class NotPrivateError(Exception):
    """The file can't be trusted: the message says why, and which command fixes it."""


class FileTooOpenError(NotPrivateError):
    """Users other than its owner may read or write the file."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(
            f"{path} is open to other users (mode {mode:03o}). Close it with: chmod 600 '{path}'"
        )


class FolderTooOpenError(NotPrivateError):
    """Every user may replace the file."""

    def __init__(self, folder: Path, mode: int) -> None:
        super().__init__(
            f"every user may replace the files in the folder {folder} (mode {mode:03o})."
            f" Close it with: chmod o-w '{folder}'"
        )


class NotOursError(NotPrivateError):
    """The file belongs to a user who is not trusted here, or whose files we can't read."""

    def __init__(self, path: Path, owner: int) -> None:
        user = os.geteuid()
        # Root may be working for the site's user, who owns the folder.
        rightful = user if user != ROOT else os.stat(path.parent).st_uid
        super().__init__(
            f"{path} belongs to {_user(owner)}, and this process runs as {_user(user)}."
            f" If you trust the file, change its owner with: chown {rightful} '{path}'"
        )


class FileState(NamedTuple):
    """What changes when a file is rewritten or given other permissions."""

    modified_ns: int
    size: int
    inode: int
    mode: int
    owner: int


def file_state(status: os.stat_result) -> FileState:
    """Reduce a stat result to what differs between two versions of a file."""
    return FileState(
        status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode, status.st_uid
    )


def read(path: Path) -> bytes:
    """
    Read a file that must be closed to other users.

    :raises NotPrivateError: if it is not a regular file.
    :raises FileTooOpenError: if its group or others may read or write it.
    :raises NotOursError: if it belongs to neither this user, nor root, nor the folder's owner; or
        if another user owns it and it can't be read.
    :raises FolderTooOpenError: if every user may replace the files in its folder.
    :raises OSError: if it is missing or can't be read.
    """
    descriptor = _open(path)
    try:
        _check_folders(path)
        # Of the open file: by now the name may lead to another.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotPrivateError(f"{path} is not a file. Move it away")
        if (mode := _mode(descriptor)) & OTHERS:
            raise FileTooOpenError(path, mode)
        _check_owners(path, status.st_uid, os.lstat(path).st_uid)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open it without blocking, in case somebody put a FIFO there."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise _denied(path, error) from error


def group_may_replace(path: Path) -> Path | None:
    """
    The folder of this file, if its whole group may replace files in it; else None. Reads only.

    That is not a reason to refuse: a site may share its folder with a group on purpose. A group
    with the same name as the folder's owner is taken to have only that user.
    """
    for folder in _folders(path):
        status = os.stat(folder)
        is_open = status.st_mode & stat.S_IWGRP and not status.st_mode & stat.S_ISVTX
        if is_open and not _is_of_one_user(status):
            return folder
    return None


def _is_of_one_user(status: os.stat_result) -> bool:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(status.st_gid).gr_name == pwd.getpwuid(status.st_uid).pw_name
    return False


def _folders(path: Path) -> set[Path]:
    """The folder of the name, and that of the file that a link leads to."""
    return {path.parent, Path(os.path.realpath(path)).parent}


def _check_folders(path: Path) -> None:
    """In a folder with the sticky bit, users may replace only their own files."""
    for folder in _folders(path):
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise FolderTooOpenError(folder, mode)


def _check_owners(path: Path, *owners: int) -> None:
    """The folder's owner may replace the file anyway, and root runs commands for that user."""
    trusted = {os.geteuid(), ROOT, *(os.stat(folder).st_uid for folder in _folders(path))}
    for owner in owners:
        if owner not in trusted:
            raise NotOursError(path, owner)


def _denied(path: Path, error: PermissionError) -> Exception:
    """A command run by root may have left a file that the server can't read."""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return error  # we may not even enter the folder
    return error if owner == os.geteuid() else NotOursError(path, owner)


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:  # as in a container
        return f"uid {uid}"


def create_once(path: Path, content: bytes, *, owner_of: Path | None = None) -> None:
    """
    Create the file with mode 0600, unless another process has created it first.

    A link, unlike a rename, fails if the name is taken: if two processes start together, one wins,
    and both then read the same file.

    :param owner_of: as for ``files.create_private``.
    :raises FolderTooOpenError: if every user may replace the files in its folder.
    :raises OSError: if the folder is full or not writable.
    """
    incoming = _write_beside(path, content, owner_of=owner_of)
    try:
        _give_free_name(incoming, path)
    finally:
        files.unlink(incoming)
    files.sync_folder(path.parent)


def _give_free_name(incoming: Path, path: Path) -> None:
    try:
        files.link(incoming, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        with files.exclusive_folder(path.parent):  # a file system without links
            if not path.exists():
                files.replace(incoming, path)


def replace(path: Path, content: bytes, *, owner_of: Path | None = None) -> None:
    """
    Replace the file with ``content``, in mode 0600. If this fails, the old file is unchanged.

    :param owner_of: as for ``files.create_private``. A file that is replaced keeps its owner.
    :raises OSError: if the folder is full or not writable.
    """
    owner_of = path if owner_of is None or path.exists() else owner_of
    incoming = _write_beside(path, content, owner_of=owner_of)
    try:
        files.replace(incoming, path)
    except OSError:
        files.unlink(incoming)
        raise
    files.sync_folder(path.parent)


def _write_beside(path: Path, content: bytes, *, owner_of: Path | None = None) -> Path:
    """Write and sync a file of mode 0600 in the folder of ``path``, under another name."""
    _check_folders(path)
    incoming = path.with_name(f".{path.name}.incoming-{secrets.token_hex(8)}")
    descriptor = files.create_private(incoming, owner_of=owner_of)
    try:
        _check_is_closed(path.parent, descriptor)
        files.write_all(descriptor, content)
        files.sync(descriptor)
    except OSError:
        files.unlink(incoming)
        raise
    finally:
        os.close(descriptor)
    return incoming


def _check_is_closed(folder: Path, descriptor: int) -> None:
    """Some file systems give every file the same mode: exFAT, CIFS and some of FUSE."""
    if (mode := _mode(descriptor)) & OTHERS:
        raise OSError(
            errno.EPERM,
            f"every file there is open to other users (mode {mode:03o}), whatever mode it is given."
            " Keep it on another file system (API keys: BACKUPS_KEY_FILE), or mount this one with"
            " a mask",
            str(folder),
        )


def _mode(descriptor: int) -> int:
    return stat.S_IMODE(os.fstat(descriptor).st_mode)
