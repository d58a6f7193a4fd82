"""
Read a dump to its end, and find what it would run, before any of it runs.

pg_dump's custom format has no checksum. Half a dump is found here, and so is damage to what is
compressed. To find a flipped bit among the rows, one must have kept the dump's digest.
"""

import re
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backups.exceptions import CheckTimedOutError, UnknownSchemaError
from backups.postgres.dumps.archive import is_dump, read_archive
from backups.postgres.dumps.calls import find_calls
from backups.postgres.dumps.entries import OPTIONS, clip, find_programs, judge
from backups.postgres.dumps.running import run_dump, run_restore
from backups.postgres.dumps.tokens import UnreadableError, split
from backups.sqlite.format.schema import Program

__all__ = [
    "OPTIONS",
    "Dump",
    "calls_nothing",
    "check_programs",
    "is_dump",
    "read_dump",
    "read_programs",
]

_MOST_NAMES = 10  # in a sentence
# A role that is no superuser can make only those that are marked as trusted.
_EXTENSION = re.compile(r'CREATE EXTENSION IF NOT EXISTS ("?)[\w-]+\1 WITH SCHEMA ("?)\w+\2;')


@dataclass(frozen=True)
class Dump:
    """What a whole dump has besides tables and rows."""

    programs: tuple[Program, ...]  # functions, triggers, views, extensions …


def read_dump(
    path: Path, *, pg_restore: Path, seconds: float, watch: Callable[[], None] | None = None
) -> Dump:
    """
    Judge each statement of a dump, then read all of it.

    :param seconds: the limit for all of it.
    :param watch: is called now and then; if it raises, pg_restore is killed.
    :raises NotADatabaseError: it is not in pg_dump's custom format.
    :raises NewerSnapshotError: it is in a format that this module or pg_restore does not know.
    :raises DamagedSnapshotError: it can't be read to its end.
    :raises UnknownSchemaError: it has a statement that no dump of a Django site's tables has.
    :raises CheckTimedOutError: this takes longer.
    """
    end = time.monotonic() + seconds
    with open(path, "rb") as file:
        _, entries = read_archive(file)
    programs = tuple(sorted(set(judge(entries, _until(end, watch)))))
    run_restore(pg_restore, path, seconds=end - time.monotonic(), watch=watch)
    return Dump(programs)


def read_programs(
    pg_dump: Path,
    *,
    environment: Mapping[str, str],
    seconds: float,
    watch: Callable[[], None] | None = None,
) -> frozenset[Program]:
    """
    The programs of a database, spelled as those of a dump of it.

    :param environment: which database: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE …
    :raises DatabaseServerError: pg_dump can't read it.
    """
    with tempfile.TemporaryFile() as file:
        run_dump(pg_dump, file, environment=environment, seconds=seconds, watch=watch)
        file.seek(0)
        _, entries = read_archive(file)
    return frozenset(find_programs(entries))


def check_programs(
    dump: Dump, live: Collection[Program] | None, *, allow_unknown: bool
) -> tuple[str, ...]:
    """
    Refuse programs that the live database does not have: they would run within the restore, as this
    site's role. If the live database can't be read, a program that runs nothing by itself is only a
    warning, which this returns.

    :param live: of ``read_programs``; None if the live database can't be read.
    :raises UnknownSchemaError: the message names the programs.
    """
    unknown = [each for each in dump.programs if each not in (live or ())]
    if not unknown or allow_unknown:
        return ()
    if live is not None:
        raise UnknownSchemaError(
            f"The dump has the {_some(unknown)}, which this site's database does not have."
        )
    compared = (
        "It is not known whether this site's own database has the same: it is missing, or can't be"
        " read."
    )
    if running := [each for each in unknown if not _is_at_rest(each)]:
        raise UnknownSchemaError(f"The dump has the {_some(running)}. {compared}")
    return (f"The dump has the {_some(unknown)}. {compared}",)


def calls_nothing(program: Program) -> bool:
    """Whether a program, e.g. a view, only calls functions that are known to be harmless."""
    try:
        return not any(any(find_calls(tokens)) for tokens in split(program.sql))
    except UnreadableError:
        return False


def _is_at_rest(program: Program) -> bool:
    """Whether it runs nothing within a restore: PostgreSQL's own extensions, and a clause."""
    return program.kind == "clause" or bool(_EXTENSION.fullmatch(program.sql))


def _some(programs: Sequence[Program]) -> str:
    names = ", ".join(clip(str(each)) for each in programs[:_MOST_NAMES])
    more = len(programs) - _MOST_NAMES
    return f"{names} and {more} more" if more > 0 else names


def _until(end: float, watch: Callable[[], None] | None) -> Callable[[], None]:
    """Makes a function to call now and then: it calls the watch, and raises after ``end``."""

    def call() -> None:
        if time.monotonic() > end:
            raise CheckTimedOutError("The check of the dump was stopped at its time limit.")
        if watch is not None:
            watch()

    return call
