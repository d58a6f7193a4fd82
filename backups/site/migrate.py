"""
Migrate a database that is not the live one, in a child: see migrate_child.py.

What stops a migration decides what becomes of the snapshot. A migration that fails on its rows
will fail at every start. Time, memory and a full disk are the machine's own.
"""

import math
import os
import re
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from backups.conf import conf
from backups.exceptions import MigrationStoppedError, RestoreBlockedError, RestoreRefusedError
from backups.processes import limits
from backups.processes.spawn import has_crashed, last_line, run_module

# The child's answers.
DONE = "migrated"
FAILED = "a migration failed"  # because of the snapshot
NO_MEMORY = "out of memory"  # it reached its memory limit
NO_FAULT = "no fault of the snapshot"  # the machine or the site's own code is the cause
CRASHED_OF_MEMORY = (b"MemoryError", b"bad_alloc", b"annot allocate memory")
APPLYING = re.compile(rb"^ *Applying (\S+?)\.\.\.", re.MULTILINE)  # as ``migrate`` prints it


def migrate_file(alias: str, database: Path) -> None:
    """As ``migrate_database``, for a file of SQLite."""
    # This URI does not create the file: if its owner is dead, it may have been swept.
    migrate_database(alias, f"file:{quote(os.fsencode(database))}?mode=rw")


def migrate_database(alias: str, name: str) -> None:
    """
    Migrate another database to this release, in a child process.

    Its limits are BACKUPS_MIGRATE_SECONDS by the clock, BACKUPS_MIGRATE_PROCESSOR_SECONDS and
    BACKUPS_MIGRATE_MEMORY_BYTES. Reaching one is not the snapshot's fault.

    :param name: what stands for the live database's NAME in DATABASES there.
    :raises MigrationStoppedError: it reached a limit, which the message names; discard the
        database.
    :raises RestoreRefusedError: a migration failed; discard the database.
    :raises RestoreBlockedError: the machine failed (e.g. the disk is full), an operator ended the
        process, or the site could not be set up; discard the database too.
    :raises ChildNotStartedError: the process did not start its work.
    """
    seconds, processor_seconds = conf.migrate_seconds, math.ceil(conf.migrate_processor_seconds)
    words = (alias, name, str(seconds), str(processor_seconds))
    try:
        child = run_module(
            "backups.site.migrate_child",
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
