"""
Start our modules in separate Python processes: every child of this app is started here.

A child is isolated: neither the current folder nor the environment says where it
imports from. What it needs is handed over as arguments, and for most children stands behind the
standard library, so that no file of another user or of the site takes the place of a module.
Those children get no variable of the environment that can hold a secret either.

A child reports that it runs once it has imported what it needs, before any work. If it ends
without that report it never ran: that is the machine's fault, never the file's.
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import backups
from backups import which_sqlite
from backups.exceptions import ChildFailedError, ChildNotStartedError
from backups.processes import limits
from backups.processes.environment import without_secrets
from backups.processes.interpreter import find_python
from backups.processes.started import STARTED

LOOK_SECONDS = 0.5  # between two looks whether the outcome is still wanted
START_SECONDS = 60.0  # a start takes a tenth of a second, or as long as the site's imports

# What a process's own work can end it with. Every other signal comes from outside.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)

# Paths are counted and not joined: a path can have a colon in it. What stands for sqlite3 in this
# process does so in the child too, before anything there imports it.
PROGRAM = """
import sys
place, count, sqlite, module = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
paths, arguments = sys.argv[5 : 5 + count], sys.argv[5 + count :]
sys.path[:] = paths + sys.path if place == "first" else sys.path + paths
if sqlite != "sqlite3":
    from importlib import import_module
    sys.modules["sqlite3"] = import_module(sqlite)
    sys.modules["sqlite3.dbapi2"] = import_module(sqlite + ".dbapi2")
__import__(module, fromlist=["main"]).main(*arguments)
"""


def command(module: str, *arguments: str, with_site: bool = False) -> list[str]:
    """
    The words that run ``module.main(*arguments)`` in a Python process.

    :param with_site: it imports the site's own code, so it gets the import path of this process,
        in its order, and what the .pth files of site-packages bring. Otherwise the folders of
        this import path come last, and relative ones not at all.
    :raises ChildNotStartedError: no Python was found.
    """
    paths = _site_path() if with_site else _own_path()
    options = _site_options() if with_site else ["-I", "-S"]  # no site-packages: it starts sooner
    if sys.getfilesystemencoding() == "utf-8":  # names must mean the same to both
        options += ["-X", "utf8"]
    if sys.dont_write_bytecode:
        options += ["-B"]
    place = "first" if with_site else "last"
    words = [place, str(len(paths)), which_sqlite.module_name(), module, *paths, *arguments]
    return [find_python(), *options, "-c", PROGRAM, *words]


def environment(*, with_site: bool = False) -> dict[str, str] | None:
    """For ``Popen``: all variables for code of the site, whose settings read them; else few."""
    return None if with_site else without_secrets()


def run_module(
    module: str,
    *arguments: str,
    seconds: float | None = None,
    inherit: tuple[int, ...] = (),
    with_site: bool = False,
    watch: Callable[[], None] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """
    Run ``module.main(*arguments)`` in a child and wait for its end. Its answer is returned as its
    standard output, and what it printed besides as its standard error.

    A parent that reaps every child (gunicorn's master while it reloads) can take the exit code
    away, so callers must rely on what the child answers.

    :param seconds: wall clock limit; the child is killed at it.
    :param inherit: descriptors whose locks the child is to hold too, while it lives.
    :param with_site: it imports the site's own code; see ``command``.
    :param watch: called now and then meanwhile; if it raises, the child is killed.
    :raises subprocess.TimeoutExpired: at the limit.
    :raises ChildNotStartedError: it did not start its work.
    """
    words = command(module, *arguments, with_site=with_site)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=inherit,
            env=environment(with_site=with_site),
        )
    except OSError as error:
        raise _not_started("process", f"{words[0]}: {error.strerror}") from error
    with process:
        try:
            out, err = _communicate(process, seconds, watch)
        except BaseException:
            process.kill()
            raise
    child = subprocess.CompletedProcess(words, process.returncode, out, err)
    if STARTED not in child.stdout:
        raise _not_started("process", f"it ended with {ending(child)}")
    child.stdout = answer_of(child.stdout)
    return child


def has_started(process: "subprocess.Popen[bytes]") -> bool:
    """
    Wait until a child reports that it runs, and read no further. Its standard output must be a
    pipe that nobody has read from yet.

    :returns: False if it has ended, or does not report in time: Python itself can loop for ever
        while it starts with too little memory.
    """
    assert process.stdout is not None
    poll, said, end = select.poll(), b"", time.monotonic() + START_SECONDS
    poll.register(process.stdout, select.POLLIN)
    while not said.endswith(STARTED):
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return False
        if not (byte := os.read(process.stdout.fileno(), 1)):
            return False
        said += byte
    return True


def _communicate(
    process: "subprocess.Popen[bytes]", seconds: float | None, watch: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    """
    Wait for the end, but not for one that has not said in time that it runs. ``has_started``
    would not do here: a site's imports can fill standard error, which has to be read as well.
    """
    if seconds is not None and seconds <= START_SECONDS:
        return _wait(process, seconds, watch)
    try:
        return _wait(process, START_SECONDS, watch)
    except subprocess.TimeoutExpired as late:
        if STARTED not in (late.output or b""):
            how = f"it did not begin within {START_SECONDS:.0f} seconds"
            raise _not_started("process", how) from late
    return _wait(process, None if seconds is None else seconds - START_SECONDS, watch)


def _wait(
    process: "subprocess.Popen[bytes]", seconds: float | None, watch: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    if watch is None:
        return process.communicate(timeout=seconds)
    end = math.inf if seconds is None else time.monotonic() + seconds
    while (left := end - time.monotonic()) > LOOK_SECONDS:
        try:
            return process.communicate(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            watch()
    return process.communicate(timeout=max(0.0, left))


@contextlib.contextmanager
def starting_thread() -> Iterator[None]:
    """
    For the call that starts a thread, which the system can refuse as it can a process.

    :raises ChildNotStartedError: it does.
    """
    try:
        yield
    except RuntimeError as error:  # which is what Python has for it
        raise _not_started("thread", str(error)) from error


def answer_of(output: bytes) -> bytes:
    """What a child has answered; empty if it did not start its work."""
    return output.partition(STARTED)[2]


def last_line(output: bytes) -> str:
    """The last line that a child printed: of a traceback, the error itself."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def ending(child: "subprocess.CompletedProcess[bytes]") -> str:
    """How a child ended, if it did not answer."""
    if child.returncode < 0:
        return f"signal {-child.returncode}"
    return f"exit code {child.returncode}: {last_line(child.stderr) or 'it printed nothing'}"


def has_crashed(child: "subprocess.CompletedProcess[bytes]") -> bool:
    """Whether its own work ended it, and not the machine or an operator."""
    return -child.returncode in CRASHES


# In the child


@contextlib.contextmanager
def answering() -> Iterator[IO[str]]:
    """
    Say that this child runs, and yield where its answer goes.

    Whatever else it prints, such as a site's settings do, goes to standard error.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        answer.write(STARTED.decode())
        answer.flush()
        yield answer


def _not_started(what: str, how: str) -> ChildNotStartedError:
    hint = None
    if described := limits.describe():
        hint = f"{ChildFailedError.hint} This one is limited to {described}."
    return ChildNotStartedError(
        f"A {what} that this needs could not be started: {how.rstrip('.')}.",
        hint=hint,
    )


def leave() -> None:
    """End this process at once: what the site's code has started, e.g. threads, may go on."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _site_options() -> list[str]:
    """As -I does, but for the packages of the user, if this process imports those too."""
    has_user_site = getattr(sys.modules.get("site"), "ENABLE_USER_SITE", False)
    return ["-E", "-P"] if has_user_site else ["-I"]


def _own_path() -> list[str]:
    """Where ``backups`` is; then what this process imports from, for Django's SQL functions."""
    root = str(Path(backups.__file__).resolve().parents[1])
    return list(dict.fromkeys([root, *filter(os.path.isabs, sys.path)]))


def _site_path() -> list[str]:
    """What this process imports from. A current folder that is gone is left out."""
    absolute = []
    for path in sys.path:
        with contextlib.suppress(OSError):
            absolute.append(os.path.abspath(path))
    return absolute
