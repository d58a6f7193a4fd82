"""
Migrate a database file that is not the live one.

This runs in a separate process, in which the site's database *is* that file. So data migrations
that ignore ``using`` write to it and never to the live one. And every app's signal handlers are
connected: while the site starts, they are not yet.
"""

import errno
import faulthandler
import math
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from backups.conf import conf
from backups.exceptions import MigrationStoppedError, RestoreBlockedError, RestoreRefusedError
from backups.processes import limits
from backups.processes.spawn import answering, has_crashed, last_line, leave, run_module

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# The child's answers.
DONE = "migrated"
FAILED = "a migration failed"  # because of the snapshot
NO_MEMORY = "out of memory"  # it reached its memory limit
NO_FAULT = "no fault of the snapshot"  # the machine or the site's own code is the cause

# How SQLite and the system report a full or failing disk.
MACHINE_SQLITE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
NO_MEMORY_SQLITE = (sqlite3.SQLITE_NOMEM, 3082)  # SQLITE_IOERR_NOMEM
CRASHED_OF_MEMORY = (b"MemoryError", b"bad_alloc", b"annot allocate memory")
MACHINE_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM)


GRACE_SECONDS = 10.0  # after which a child that nobody waits for ends itself
APPLYING = re.compile(rb"^ *Applying (\S+?)\.\.\.", re.MULTILINE)  # as ``migrate`` prints it


def migrate_file(alias: str, database: Path) -> None:
    """
    Bring ``database`` to this release, in a child process.

    Its limits are BACKUPS_MIGRATE_SECONDS by the clock, BACKUPS_MIGRATE_PROCESSOR_SECONDS and
    BACKUPS_MIGRATE_MEMORY_BYTES. Reaching one is not the snapshot's fault.

    :raises MigrationStoppedError: it reached a limit, which the message names; discard the file.
    :raises RestoreRefusedError: a migration failed; discard the file.
    :raises RestoreBlockedError: the machine failed (e.g. the disk is full), an operator ended the
        process, or the site could not be set up; discard the file too.
    :raises ChildNotStartedError: the process did not start its work.
    """
    seconds, processor_seconds = conf.migrate_seconds, math.ceil(conf.migrate_processor_seconds)
    words = (alias, str(database), str(seconds), str(processor_seconds))
    try:
        child = run_module(
            "backups.site.migrate",
            *words,
            str(conf.migrate_memory_bytes),
            seconds=seconds,
            with_site=True,
        )
    except subprocess.TimeoutExpired as late:
        how = f"did not end within {seconds:g} seconds"
        raise _stopped(how, "BACKUPS_MIGRATE_SECONDS", late.stderr or b"") from late
    outcome = child.stdout.decode()
    if outcome == DONE:
        return
    _check_limits(child, outcome, processor_seconds)
    reason = last_line(child.stderr) or f"the process ended with {child.returncode}"
    message = f"The snapshot's migrations failed: {reason.rstrip('.')}."
    if outcome == FAILED or has_crashed(child):
        raise RestoreRefusedError(message)
    raise RestoreBlockedError(message)


def _check_limits(
    child: "subprocess.CompletedProcess[bytes]", outcome: str, processor_seconds: int
) -> None:
    """Raise MigrationStoppedError if the child reached a limit, or the machine's memory ran out."""
    said = child.stderr
    if child.returncode == -signal.SIGXCPU:
        inherited = limits.processor_seconds()
        if inherited is not None and inherited < processor_seconds:
            how = f"took {inherited} seconds of processor time, the limit of this service"
            raise _stopped(how, "that limit (ulimit -t)", said)
        how = f"took more than {processor_seconds} seconds of processor time"
        raise _stopped(how, "BACKUPS_MIGRATE_PROCESSOR_SECONDS", said)
    has_run_out = has_crashed(child) and any(word in said for word in CRASHED_OF_MEMORY)
    if outcome == NO_MEMORY or has_run_out:
        ours, inherited = conf.migrate_memory_bytes, limits.address_space()
        if inherited is not None and inherited <= ours:
            how = f"need more memory than {inherited:,} bytes, the limit of this service"
            raise _stopped(how, "that limit (ulimit -v)", said)
        how = f"need more than {ours:,} bytes of memory, or the machine has less"
        raise _stopped(how, "BACKUPS_MIGRATE_MEMORY_BYTES", said)
    if child.returncode == -signal.SIGKILL:
        how = f"were killed (the process ended with {child.returncode}), as if memory had run out"
        raise _stopped(how, "the memory of this machine or service", said)


def _stopped(how: str, setting: str, said: bytes) -> MigrationStoppedError:
    """Names the migration that was running, if ``migrate`` had begun one."""
    running = APPLYING.findall(said)
    where = f", in {running[-1].decode(errors='replace')}" if running else ""
    return MigrationStoppedError(
        f"The snapshot's migrations {how}{where}. If they need more, raise {setting}."
    )


# In the child


def main(alias: str, database: str, seconds: str, processor: str, memory: str) -> None:
    """
    Run ``migrate`` on the file, then answer with the outcome.

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
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno in MACHINE_ERRNO:
            return True
        error = error.__cause__
    return False


def _set_up(alias: str, database: str) -> None:
    import django
    from django.conf import settings

    conf.is_child = True  # the parent holds the live database, on our behalf
    # This URI does not create the file: if our parent is dead, it may have been swept.
    settings.DATABASES[alias]["NAME"] = f"file:{quote(os.fsencode(database))}?mode=rw"
    django.setup()


def _migrate(alias: str) -> str:
    from django.core.management import call_command
    from django.db import connections

    try:
        _let_old_references_be(connections[alias])
        call_command("migrate", database=alias, interactive=False, verbosity=1)
    except Exception as error:
        if is_of_memory(error):
            print("There is not enough memory.", file=sys.stderr)
            return NO_MEMORY
        traceback.print_exc()
        return NO_FAULT if is_of_the_machine(error) else FAILED
    return DONE


def _let_old_references_be(connection: "BaseDatabaseWrapper") -> None:
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
    """How many rows have a broken reference; None if a table that is referred to lacks the key."""
    from django.db import DatabaseError

    try:
        with connection.cursor() as cursor:
            return len(cursor.execute("PRAGMA foreign_key_check").fetchall())
    except DatabaseError:
        return None
