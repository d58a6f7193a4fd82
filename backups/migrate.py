"""
Migrate a database file that is not the live one.

Run in a separate process, in which the site's database *is* that file: data migrations that ignore
``using`` write into it and never into the live one, and every app's signal handlers are
connected, which they are not yet while the site is starting up.
"""

import errno
import os
import sqlite3
import traceback
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from backups.child import answering, has_crashed, last_line, leave, run_module
from backups.exceptions import RestoreBlockedError, RestoreRefusedError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

DONE = "migrated"  # what a child answers that came to its end
FAILED = "a migration failed"  # one that the snapshot stopped
NO_FAULT = "no fault of the snapshot"  # one that the machine or the site's own code stopped

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

    :raises RestoreRefusedError: a migration failed; discard the file.
    :raises RestoreBlockedError: the machine failed, e.g. its disk is full, or an operator ended
        it, or the site could not be set up; discard the file too.
    :raises ChildNotStartedError: the process did not start its work.
    """
    child = run_module("backups.migrate", alias, str(database), with_site=True)
    outcome = child.stdout.decode()
    if outcome == DONE:
        return
    reason = last_line(child.stderr) or f"the process ended with {child.returncode}"
    message = f"The snapshot's migrations failed: {reason.rstrip('.')}."
    if outcome == FAILED or has_crashed(child):
        raise RestoreRefusedError(message)
    raise RestoreBlockedError(message)


def main(alias: str, database: str) -> None:
    """Run ``migrate`` on the file, then answer with the outcome."""
    with answering() as answer:
        try:
            _set_up(alias, database)
        except Exception:  # the same would stop a start of the site
            traceback.print_exc()
            answer.write(NO_FAULT)
        else:
            answer.write(_migrate(alias))
    leave()


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


def _set_up(alias: str, database: str) -> None:
    import django
    from django.conf import settings

    from backups import startup

    startup.is_wanted = False  # the parent is alone with the live database, on our behalf
    # A URI that does not create: our parent may be dead by now, and the file swept.
    settings.DATABASES[alias]["NAME"] = f"file:{quote(os.fsencode(database))}?mode=rw"
    django.setup()


def _migrate(alias: str) -> str:
    from django.core.management import call_command
    from django.db import connections

    try:
        _let_old_references_be(connections[alias])
        call_command("migrate", database=alias, interactive=False, verbosity=1)
    except Exception as error:
        traceback.print_exc()
        return NO_FAULT if is_of_the_machine(error) else FAILED
    return DONE


def _let_old_references_be(connection: "BaseDatabaseWrapper") -> None:
    """
    Django fails a migration if any row of the database refers to nothing, whatever the cause. Here
    it fails if there are more of these than before: the others were accepted.
    """
    strict, before = connection.check_constraints, _broken_references(connection)
    if before == 0:
        return

    def check(table_names: list[str] | None = None) -> None:
        if before is not None and (_broken_references(connection) or 0) > before:
            strict(table_names)

    connection.check_constraints = check  # type: ignore[method-assign, assignment]


def _broken_references(connection: "BaseDatabaseWrapper") -> int | None:
    """How many rows refer to nothing; None if a table that they refer to has no key for it."""
    from django.db import DatabaseError

    try:
        with connection.cursor() as cursor:
            return len(cursor.execute("PRAGMA foreign_key_check").fetchall())
    except DatabaseError:
        return None
