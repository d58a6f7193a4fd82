"""
The one folder that holds the site's state: database, secret key, API keys, logins.

What is in it is for the site's own user. The database holds password hashes, and whoever may read
it can also keep locks on it.
"""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from backups.disk import private_files
from backups.disk.attributes import give_to_owner_of

OTHERS, GROUP, GROUP_WRITES = 0o007, 0o070, 0o020

DATABASE = "tasks.db"  # what the database is called in the folder
SECRET_KEY_BYTES = 32  # 64 hex digits: 256 bits, and Django asks for 50 characters or more

logger = logging.getLogger(__name__)


def close_new_files() -> None:
    """
    Let all that this process makes from now on be for its own user alone, SQLite's files included.

    Gunicorn still makes its socket as its own ``umask`` says, or a proxy could not connect to it.
    """
    os.umask(os.umask(OTHERS | GROUP) | OTHERS | GROUP)


def close_files(folder: Path, name: str) -> None:
    """
    Close the files whose names begin with ``name``, such as a database and all that lies beside it,
    to users who are not of their group; and to their group, unless that is meant to write them.

    Another user's files are left alone, and files that only the group may open: that is the
    operator's decision. Nothing is done in a folder where others may put a link in a file's place.
    """
    if os.stat(folder).st_mode & OTHERS & stat.S_IWOTH:
        return
    for path in sorted(folder.glob(f"{name}*")):
        try:
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                _close(path, stat.S_IMODE(status.st_mode))
        except OSError as error:
            logger.warning("%s may be open to other users: %s", path, error.strerror)


def _close(path: Path, mode: int) -> None:
    if mode & OTHERS:
        closed = mode & (0o770 if mode & GROUP_WRITES else 0o700)
        os.chmod(path, closed)
        logger.warning(
            "%s was open to other users: its mode was %04o, now %04o", path, mode, closed
        )
    elif mode & GROUP:
        logger.info("%s can be opened by its group (mode %04o), which is left as it is", path, mode)


def prepare(folder: Path) -> Path:
    """
    Create the folder with mode 0700 if it is missing, and check that it can be written.

    An existing folder keeps its mode.

    :returns: its absolute path.
    :raises ImproperlyConfigured: if it cannot be created or written.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, f"cannot be created: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder, "cannot be written by this user")
    return folder


def secret_key(path: Path) -> str:
    """
    Read the site's secret key; make one on the first start, in a file of mode 0600.

    Processes that start at the same time end with the same key.

    When root makes it, it is given to the folder's owner, who runs the server.

    :raises ImproperlyConfigured: if the file is empty, open to others, somebody else's, or cannot
        be read; or if every user may replace the files in its folder.
    """
    try:
        if not path.exists():
            made = os.urandom(SECRET_KEY_BYTES).hex().encode()
            private_files.create_once(path, made, owner_of=path.parent)
        content = private_files.read(path)
    except private_files.NotPrivateError as error:
        raise ImproperlyConfigured(f"The secret key: {error}") from error
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key {path} cannot be read: {error.strerror}."
        ) from error
    key = content.decode("ascii", "replace").strip()
    if not key:
        raise ImproperlyConfigured(
            f"The secret key {path} is empty. Remove it, and the next start makes a new one; "
            f"sessions end with the old key."
        )
    return key


def sessions(folder: Path) -> Path:
    """
    Create the folder of logins with mode 0700 if it is missing; close one that is open to others:
    the name of each file in it is what is in a cookie.

    :raises ImproperlyConfigured: if that can't be done, or it can't be written.
    """
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            give_to_owner_of(folder.parent, descriptor)
            if os.fstat(descriptor).st_mode & private_files.OTHERS:
                os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _sessions_unusable(folder, f"can't be used: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _sessions_unusable(folder, "can't be written by this user")
    return folder


def _sessions_unusable(folder: Path, reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The folder of logins {folder} {reason}. Remove it, or give it to this user with mode"
        " 0700: its files only keep people logged in."
    )


def _unusable(folder: Path, reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The data folder {folder} {reason}. Set TASKDOG_DATA_DIR to a folder that this user "
        f"may write, or correct the permissions."
    )
