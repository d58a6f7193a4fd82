"""
Run the site's migrations on a database that is not the live one: ``main``, for a separate process.

There the site's database *is* that one. So data migrations that ignore ``using`` write to it and
never to the live one. And every app's signal handlers are connected: while the site starts, they
are not yet.
"""

import errno
import faulthandler
import resource
import sqlite3
import sys
import traceback
from typing import TYPE_CHECKING

from backups.conf import conf
from backups.processes import limits
from backups.processes.spawn import answering, leave
from backups.site.child_database import point_at
from backups.site.migrate import DONE, FAILED, NO_FAULT, NO_MEMORY

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# How SQLite and the system report a full or failing disk.
MACHINE_SQLITE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
# The same of a server, by the classes of its error codes: connection, resources, operator, system.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
MACHINE_SERVER = ("08", "25006", "53", "57", "58")  # 25006: it only reads, as a standby
NO_MEMORY_SQLITE = (sqlite3.SQLITE_NOMEM, 3082)  # SQLITE_IOERR_NOMEM
MACHINE_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM)
GRACE_SECONDS = 10.0  # after which a child that nobody waits for ends itself


def main(alias: str, database: str, seconds: str, processor: str, memory: str) -> None:
    """
    Run ``migrate`` on the database, then answer with the outcome.

    :param database: its NAME, as in DATABASES.
    :param seconds: the limit by the clock. The others are ``processor``, in seconds of processor
        time, and ``memory``, in bytes. All are strings, as the arguments of a process are.
    """
    with answering() as answer:
        # In case our parent is killed. The thread of faulthandler does not need Python's lock.
        faulthandler.dump_traceback_later(float(seconds) + GRACE_SECONDS, exit=True)
        limits.lower_processor_time(int(processor))
        try:
            _set_up(alias, database)
        except Exception:  # a start of the site would fail in the same way
            traceback.print_exc()
            answer.write(NO_FAULT)
        else:
            if sys.platform == "linux":  # other systems do not enforce this limit
                most = limits.used_address_space() + int(memory)
                limits.lower(resource.RLIMIT_AS, most)
            answer.write(_migrate(alias))
    leave()


def is_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, says that memory has run out."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if getattr(error, "sqlite_errorcode", 0) in NO_MEMORY_SQLITE:
            return True
        if "annot allocate memory" in str(error):  # e.g. of a library that can't be loaded
            return True
        error = error.__cause__
    return False


def is_of_the_machine(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, comes from the disk or the memory."""
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return getattr(error, "sqlite_errorcode", 0) & 0xFF in MACHINE_SQLITE
        if isinstance(error, MemoryError) or _is_of_the_server(error):
            return True
        if isinstance(error, OSError) and error.errno in MACHINE_ERRNO:
            return True
        error = error.__cause__
    return False


def _is_of_the_server(error: BaseException) -> bool:
    """Whether a database server, or the way to it, failed. A lost connection has no code."""
    code = getattr(error, "sqlstate", "")
    if code is None:
        return type(error).__name__ == "OperationalError"
    return str(code).startswith(MACHINE_SERVER)


def _set_up(alias: str, database: str) -> None:
    import django

    conf.is_child = True  # the parent holds the live database, on our behalf
    point_at(alias, database)
    django.setup()


def _migrate(alias: str) -> str:
    from django.core.management import call_command
    from django.db import connections

    try:
        _accept_old_references(connections[alias])
        call_command("migrate", database=alias, interactive=False, verbosity=1)
    except Exception as error:
        if is_of_memory(error):
            print("There is not enough memory.", file=sys.stderr)
            return NO_MEMORY
        traceback.print_exc()
        return NO_FAULT if is_of_the_machine(error) else FAILED
    return DONE


def _accept_old_references(connection: "BaseDatabaseWrapper") -> None:
    """
    Django fails a migration if any row of the database has a broken reference. Let it fail only if
    there are more of these than before: the old ones were accepted.
    """
    strict, before = connection.check_constraints, _broken_references(connection)
    if before == 0:
        return

    def check(table_names: list[str] | None = None) -> None:
        if before is not None and (_broken_references(connection) or 0) > before:
            strict(table_names)

    connection.check_constraints = check  # type: ignore[method-assign, assignment]


def _broken_references(connection: "BaseDatabaseWrapper") -> int | None:
    """
    How many rows have a broken reference; None if a table that is referred to lacks the key. 0 in a
    database of another kind: a server checks them itself.
    """
    from django.db import DatabaseError

    if connection.vendor != "sqlite":
        return 0
    try:
        with connection.cursor() as cursor:
            return len(cursor.execute("PRAGMA foreign_key_check").fetchall())
    except DatabaseError:
        return None
