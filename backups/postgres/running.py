"""Run a program of PostgreSQL. It ends with its time, with the watch, or with this process."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from backups.exceptions import ChildFailedError, ChildNotStartedError
from backups.processes import spawn
from backups.processes.environment import without_secrets
from backups.processes.started import NOT_STARTED

ENGLISH = {"LC_ALL": "C"}  # its own messages, since we read them
LOOK_SECONDS = 0.25  # between two looks at it
GOODBYE_SECONDS = 5.0  # for the server to hear of its end
MOST_SAID = 10_000  # bytes of what it says when it fails: its first error


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    seconds: float | None = None,
    output: IO[bytes] | None = None,
    keep: tuple[int, ...] = (),
    watch: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """
    Run it to its end, and return its exit code and what it says. It is ended if this raises, e.g.
    what ``watch`` raises.

    :param environment: how it connects.
    :param seconds: how long it may take; None for ever.
    :param output: where its standard output goes; None for nowhere.
    :param keep: descriptors that it has too.
    :raises subprocess.TimeoutExpired: it takes longer.
    :raises ChildNotStartedError: it can't be started.
    :raises ChildFailedError: somebody else has ended it.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            spawn.command("backups.processes.program_child", str(os.getpid()), *words),
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=errors,
            env=without_secrets() | ENGLISH | {**environment},
            pass_fds=keep,
            start_new_session=True,
        )
        with process:
            try:
                code = _wait(process, seconds, watch)
            except BaseException:
                _end(process)
                raise
        errors.seek(0)
        said = errors.read(MOST_SAID).decode(errors="replace")
    if code == NOT_STARTED:
        raise ChildNotStartedError(
            f"{words[0]} could not be started: {said.strip()}.",
            hint="Nothing was changed. BACKUPS_POSTGRES_PROGRAMS says where PostgreSQL's are.",
        )
    if code < 0:
        raise ChildFailedError(f"{words[0]} was stopped by signal {-code}.")
    return code, said


def _wait(
    process: "subprocess.Popen[bytes]", seconds: float | None, watch: Callable[[], None] | None
) -> int:
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        left = LOOK_SECONDS if end is None else min(LOOK_SECONDS, end - time.monotonic())
        try:
            return process.wait(max(0.0, left))
        except subprocess.TimeoutExpired:
            if left <= 0:
                raise
            if watch is not None:
                watch()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)  # it says goodbye to the server
    with suppress(subprocess.TimeoutExpired):
        process.wait(GOODBYE_SECONDS)
    process.kill()


def last_words(said: str) -> str:
    """What a program of PostgreSQL complains of, in one line without a full stop."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line] or lines[-1:]
    return errors[0].partition("error: ")[2].rstrip(".") or errors[0] if errors else ""
