"""The one folder that holds the site's state: database, secret key, API keys, logins."""

import os
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from backups import private_files
from backups.attributes import give_to_owner_of

SECRET_KEY_BYTES = 32  # 64 hex digits: 256 bits, and Django asks for 50 characters or more


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

    :raises ImproperlyConfigured: if the file is empty, open to others or cannot be read.
    """
    try:
        if not path.exists():
            private_files.create_once(path, os.urandom(SECRET_KEY_BYTES).hex().encode())
        content = private_files.read(path)
    except private_files.FileTooOpenError as error:
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
