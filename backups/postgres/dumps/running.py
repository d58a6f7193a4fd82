"""pg_dump and pg_restore as child processes, which end with their time, or with the watch."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from backups.exceptions import (
    CheckTimedOutError,
    ChildFailedError,
    ChildNotStartedError,
    DamagedSnapshotError,
    DatabaseServerError,
    NewerSnapshotError,
)
from backups.processes.environment import without_secrets
from backups.processes.spawn import LOOK_SECONDS, last_line

_MOST_SAID = 10_000  # bytes of what a program says when it fails: its first error
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
    """How it ended, and the last line that it said; it speaks English, whatever the site does."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.DEVNULL,
                stderr=errors,
                env=without_secrets()
                | {"LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}
                | {**environment},
            )
        except OSError as error:
            raise ChildNotStartedError(
                f"{words[0]} could not be started: {error.strerror}.",
                hint="Nothing was changed. BACKUPS_POSTGRES_PROGRAMS says where PostgreSQL's are.",
            ) from error
        with process:
            try:
                code = _wait(process, words[0], seconds, watch)
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        said = last_line(errors.read(_MOST_SAID)) or f"it ended with exit code {code}"
    if code < 0:
        raise ChildFailedError(f"{words[0]} was stopped by signal {-code}.")
    return code, said


def _wait(
    process: "subprocess.Popen[bytes]",
    program: str,
    seconds: float,
    watch: Callable[[], None] | None,
) -> int:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            return process.wait(min(left, LOOK_SECONDS))
        except subprocess.TimeoutExpired:
            if watch is not None:
                watch()
    raise CheckTimedOutError(f"{program} was stopped at the time limit.")
