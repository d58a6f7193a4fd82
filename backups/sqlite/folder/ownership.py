"""
Whether the site could use the files that this process would leave beside the database.

SQLite makes a ``-wal`` and a ``-shm`` for the user who opens a database first, and that user
owns them. If that user may only read the database, the site can no longer write them, nor its own
database. So such a user is refused before anything is opened or created. Root gives such files
away, as SQLite itself does; who may write the database shares them (``sharing.py``).
"""

import os
import pwd
import shlex
from pathlib import Path

from backups.exceptions import BackupError, WrongUserError
from backups.sqlite.folder.paths import StorePaths

MAY_CHOWN = 1 << 0  # CAP_CHOWN, in capabilities(7)
EFFECTIVE = os.access in os.supports_effective_ids


def check_user(paths: StorePaths) -> None:
    """
    Reads only, and opens nothing.

    :raises WrongUserError: this user may not write the database, but its folder.
    """
    if may_write(paths) or not _may(paths.folder, os.W_OK | os.X_OK):
        return  # where no file can be created, none is left behind
    raise WrongUserError(
        f"{_name(os.geteuid())} may not write {paths.database}, and would leave files beside it"
        " that the site can't write: SQLite's -wal and -shm, or the lock file.",
        hint=f"Nothing was opened. {_remedy(paths)}",
    )


def may_write(paths: StorePaths) -> bool:
    """Whether this user may write the database; yes if there is none, or it can't be told."""
    try:
        os.stat(paths.database)
    except OSError:
        return True
    return _gives_away() or _may(paths.database, os.R_OK | os.W_OK)


def tell_reader(paths: StorePaths, error: BackupError) -> None:
    """Let the hint of an error say what to do, if it comes from a user who may not write here."""
    for path in (paths.database, paths.folder):
        if path.exists() and not (_gives_away() or _may(path, os.W_OK)):
            error.hint = f"{_name(os.geteuid())} may not write {path}. {_remedy(paths)}"
            return


def _gives_away() -> bool:
    """Whether this is root, who may change the owner of a file; in a container it may not."""
    if os.geteuid() != 0:
        return False
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # another system, on which root may do anything
        return True
    capabilities = status.partition("CapEff:")[2].split(maxsplit=1)
    return not capabilities or bool(int(capabilities[0], 16) & MAY_CHOWN)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=EFFECTIVE)


def _remedy(paths: StorePaths) -> str:
    like = paths.database if paths.database.exists() else paths.folder
    owner = os.stat(like).st_uid
    return f"Run it as the user of the site: sudo -u {shlex.quote(_name(owner, '#'))} …"


def _name(user: int, unnamed: str = "The user ") -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"{unnamed}{user}"
