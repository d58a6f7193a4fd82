"""
Fill an empty PostgreSQL database with all that a SQLite snapshot of the same project has, in a
child process: see move_child.py.
"""

import math
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from backups.conf import conf
from backups.exceptions import (
    DatabaseServerError,
    MigrationStoppedError,
    RestoreBlockedError,
    RestoreRefusedError,
    UnfitRowsError,
)
from backups.processes.spawn import has_crashed, last_line, run_module
from backups.site.move import answer
from backups.site.move.answer import Answer, Progress, read_answer
from backups.store import Tell

CRASHED_OF_MEMORY = (b"MemoryError", b"bad_alloc", b"annot allocate memory")


@dataclass(frozen=True)
class Moved:
    """What the new database has."""

    rows: Mapping[str, int]  # of each table by its name, as they are in the new database
    warnings: tuple[str, ...]  # sentences for the person who restores


def move_snapshot(
    alias: str,
    source: Path,
    database: str,
    *,
    applied: Collection[str],
    seconds: float,
    watch: Callable[[], None] | None = None,
    tell: Tell = lambda *_: None,
) -> Moved:
    """
    Fill ``database`` with the tables and the rows of ``source``. After an error, drop it.

    :param source: a checked, whole SQLite file.
    :param database: the name of an empty database on the server of DATABASES[alias].
    :param applied: ``app.name`` of each migration that the snapshot has.
    :param seconds: the limit by the clock.
    :param watch: called now and then; what it raises ends the child.
    :param tell: called now and then with the step, how much of it is done, and of how much.
    :raises UnfitRowsError: PostgreSQL can't hold some of it. The message names these values.
    :raises RestoreRefusedError: a migration failed, or what came back is not what was sent.
    :raises MigrationStoppedError: it reached a limit, which the message names.
    :raises RestoreBlockedError: this machine failed, or the site could not be set up.
    :raises DatabaseServerError: the server failed, is full, or refuses this role a step.
    :raises ChildNotStartedError: the process did not start its work.
    """
    with Progress() as progress:

        def look() -> None:
            progress.pass_on(tell)
            if watch is not None:
                watch()

        try:
            child = run_module(
                "backups.site.move.move_child",
                *(alias, str(source), database, str(progress.writing), str(math.ceil(seconds))),
                *(str(conf.migrate_memory_bytes), *applied),
                seconds=seconds,
                inherit=(progress.writing,),
                with_site=True,
                watch=look,
            )
        except subprocess.TimeoutExpired as late:
            raise MigrationStoppedError(
                f"The move to PostgreSQL did not end within {seconds:g} seconds."
            ) from late
        progress.pass_on(tell)
    return _judge(child)


def _judge(child: "subprocess.CompletedProcess[bytes]") -> Moved:
    found = read_answer(child.stdout.decode())
    if found is None:
        raise _error_of(child)
    if found.outcome == answer.DONE:
        return Moved(found.rows, found.warnings)
    raise _error(found)


def _error(found: Answer) -> Exception:
    if found.outcome == answer.UNFIT:
        return UnfitRowsError(found.message)
    if found.outcome == answer.SERVER:
        return DatabaseServerError(found.message)
    if found.outcome == answer.NO_MEMORY:
        return _out_of_memory()
    if found.outcome == answer.FAILED:
        return RestoreRefusedError(found.message)
    return RestoreBlockedError(found.message)


def _error_of(child: "subprocess.CompletedProcess[bytes]") -> Exception:
    """Of a child that ended without an answer."""
    if has_crashed(child) and any(word in child.stderr for word in CRASHED_OF_MEMORY):
        return _out_of_memory()
    if child.returncode == -signal.SIGKILL:
        return MigrationStoppedError(
            "The move to PostgreSQL was killed, as if the memory of this machine or service had"
            " run out."
        )
    reason = last_line(child.stderr) or f"the process ended with {child.returncode}"
    message = f"The move to PostgreSQL failed: {reason.rstrip('.')}."
    return RestoreRefusedError(message) if has_crashed(child) else RestoreBlockedError(message)


def _out_of_memory() -> MigrationStoppedError:
    return MigrationStoppedError(
        f"The move to PostgreSQL needs more than {conf.migrate_memory_bytes:,} bytes of memory, or"
        " the machine has less. If it needs more, raise BACKUPS_MIGRATE_MEMORY_BYTES."
    )
