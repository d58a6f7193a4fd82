"""
Whether the site could use the files that this process would leave beside the database.

The user who opens a database first owns its ``-wal`` and ``-shm``. If that user may only read the
database, the site can write neither them nor its own database any more. So such a user is refused
before anything is opened or created. Root gives such files away, as SQLite itself does; users who
may write the database share them (``sharing.py``).
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
    """Raise WrongUserError if this user may write the folder and not the database; open nothing."""
    if may_write(paths) or not _may(paths.folder, os.W_OK | os.X_OK):
        return  # no file can be left behind where none can be created
    raise WrongUserError(
        f"{_name(os.geteuid())} may not write {paths.database}, and would leave files beside it"
        " that the site can't write: SQLite's -wal and -shm, or the lock file.",
        hint=f"Nothing was opened. {_remedy(paths)}",
    )


def may_write(paths: StorePaths) -> bool:
    """Whether this user may write the database; True if there is none, or it is not known."""
    try:
        os.stat(paths.database)
    except OSError:
        return True
    return _gives_away() or _may(paths.database, os.R_OK | os.W_OK)


def tell_reader(paths: StorePaths, error: BackupError) -> None:
    """If this user may not write here, let the error's hint say so and what to do."""
    for path in (paths.database, paths.folder):
        if path.exists() and not (_gives_away() or _may(path, os.W_OK)):
            error.hint = f"{_name(os.geteuid())} may not write {path}. {_remedy(paths)}"
            return


def _gives_away() -> bool:
    """Whether this is root and may change the owner of a file; in a container it may not."""
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
