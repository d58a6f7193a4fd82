"""pg_dump and pg_restore, where they judge a dump or the schema of a database."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from backups.exceptions import (
    CheckTimedOutError,
    DamagedSnapshotError,
    DatabaseServerError,
    NewerSnapshotError,
)
from backups.postgres.running import run
from backups.processes.spawn import last_line

# What pg_restore says of an archive that is whole, and that it can't read.
_TOO_NEW = ("unsupported version", "does not support compression", "not supported in this install")


def run_restore(
    pg_restore: Path, dump: Path, *, seconds: float, watch: Callable[[], None] | None
) -> None:
    """
    Let pg_restore read all of a dump: it writes the script to nowhere. The errors are those of
    ``read_dump``.
    """
    words = [str(pg_restore), "--file=/dev/null", str(dump)]
    code, said = _run(words, None, {}, seconds, watch)
    if code == 0:
        return
    if any(each in said for each in _TOO_NEW):
        raise NewerSnapshotError(
            f"The dump was made by a newer pg_dump than {pg_restore} can read: {said}",
            hint="Nothing was staged. Install the PostgreSQL client that made it, or a newer one.",
        )
    raise DamagedSnapshotError(f"The dump can't be read to its end: {said}")


def run_dump(
    pg_dump: Path,
    file: IO[bytes],
    *,
    environment: Mapping[str, str],
    seconds: float,
    watch: Callable[[], None] | None,
) -> None:
    """Write the schema of a database to a file. The errors are those of ``read_programs``."""
    words = [str(pg_dump), "--schema-only", "--format=custom", "--compress=0", "--no-password"]
    code, said = _run(words, file, environment, seconds, watch)
    if code != 0:
        raise DatabaseServerError(f"pg_dump could not read the schema of the database: {said}")


def _run(
    words: Sequence[str],
    output: IO[bytes] | None,
    environment: Mapping[str, str],
    seconds: float,
    watch: Callable[[], None] | None,
) -> tuple[int, str]:
    """How it ended, and the last line that it said."""
    try:
        code, said = run(
            words,
            {"PGCLIENTENCODING": "UTF8"} | {**environment},
            seconds=seconds,
            output=output,
            watch=watch,
        )
    except subprocess.TimeoutExpired as late:
        raise CheckTimedOutError(f"{words[0]} was stopped at the time limit.") from late
    return code, last_line(said.encode()) or f"it ended with exit code {code}"
