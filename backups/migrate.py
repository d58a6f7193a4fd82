"""
Migrate a database file that is not the live one: ``python -m backups.migrate ALIAS PATH``.

A process of its own, in which the site's database *is* that file: data migrations that ignore
``using`` write into it and never into the live one, and every app's signal handlers are
connected, which they are not yet while the site is starting up.
"""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

from backups.child import last_line, run_module
from backups.exceptions import RestoreBlockedError, RestoreRefusedError

DONE = "migrated"  # the last line of a child that came to its end
NO_FAULT = "no fault of the snapshot"  # the last line of one that the machine stopped

# What a full or a failing disk looks like, in SQLite and in the system.
MACHINE_SQLITE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
MACHINE_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM)


def migrate_file(alias: str, database: Path) -> None:
    """
    Bring ``database`` to this release, in a child process. However long that takes.

    :raises RestoreRefusedError: a migration failed; the file is to be thrown away.
    :raises RestoreBlockedError: the machine failed, e.g. its disk is full; so is it then.
    """
    child = run_module("backups.migrate", alias, str(database))
    outcome = last_line(child.stdout)
    if outcome == DONE:
        return
    message = f"The snapshot's migrations failed: {_ending(child).rstrip('.')}."
    if outcome == NO_FAULT or child.returncode == -signal.SIGKILL:  # e.g. out of memory
        raise RestoreBlockedError(message)
    raise RestoreRefusedError(message)


def _ending(child: "subprocess.CompletedProcess[bytes]") -> str:
    return last_line(child.stderr) or f"the process ended with {child.returncode}"


def main(alias: str, database: str) -> None:
    """Run ``migrate`` on the file, then say so; or say that it was not the snapshot's fault."""
    try:
        _migrate(alias, database)
    except Exception as error:
        traceback.print_exc()
        print(NO_FAULT if is_of_the_machine(error) else "")
        sys.exit(1)
    print(DONE)


def is_of_the_machine(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, comes from the disk or the memory."""
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return getattr(error, "sqlite_errorcode", 0) & 0xFF in MACHINE_SQLITE
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno in MACHINE_ERRNO:
            return True
        error = error.__cause__
    return False


def _migrate(alias: str, database: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    from backups import startup

    startup.is_wanted = False  # the parent is alone with the live database, on our behalf
    # A URI that does not create: our parent may be dead by now, and the file swept.
    settings.DATABASES[alias]["NAME"] = f"file:{quote(os.fsencode(database))}?mode=rw"
    django.setup()
    call_command("migrate", database=alias, interactive=False, verbosity=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
