"""
Start our modules in separate Python processes: every child of this app is started here.

A child is isolated: neither the current folder nor the environment determines what it imports.
Its import path is passed as arguments. For most children it follows the standard library, so that
no file of another user or of the site can replace a module. These children also get no environment
variable that can hold a secret.

A child reports that it runs once it has imported what it needs, before any work. If it ends
without that report, it never ran: the machine is the cause, not the file.
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

LOOK_SECONDS = 0.5  # between two calls of ``watch``
START_SECONDS = 60.0  # a start takes a tenth of a second, or as long as the site's imports

# The signals that a process's own work can cause. All others come from outside.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)

# The paths are counted, not joined, because a path may have a colon in it. If another module
# replaces sqlite3 in this process, it does so in the child too, before anything imports sqlite3.
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
    The command line that runs ``module.main(*arguments)`` in a Python process.

    :param with_site: for a child that imports the site's own code: it gets this process's import
        path in the same order, and what the .pth files of site-packages add. Otherwise the
        absolute folders of this import path come after the standard library.
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
    """For ``Popen``: all variables for the site's code, whose settings may read them; else few."""
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
    Run ``module.main(*arguments)`` in a child and wait until it ends. Returns its answer as its
    standard output, and everything else that it printed as its standard error.

    Callers must rely on the answer: a parent that reaps every child (gunicorn's master while it
    reloads) can take the exit code away.

    :param seconds: wall clock limit, at which the child is killed.
    :param inherit: descriptors whose locks the child holds too while it lives.
    :param with_site: as for ``command``.
    :param watch: called every ``LOOK_SECONDS`` while waiting; if it raises, the child is killed.
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
    pipe that was not read from yet.

    :returns: False if it has ended, or does not report in time: with too little memory, Python
        itself can loop for ever at its start.
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
    Wait for the end, but give up if the child does not report in time that it runs. We can't use
    ``has_started``: a site's imports can fill standard error, so it must be read too.
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
    """Put the start of a thread in this block: ChildNotStartedError if the system refuses it."""
    try:
        yield
    except RuntimeError as error:
        raise _not_started("thread", str(error)) from error


def _not_started(what: str, how: str) -> ChildNotStartedError:
    hint = None
    if described := limits.describe():
        hint = f"{ChildFailedError.hint} This one is limited to {described}."
    message = f"A {what} that this needs could not be started: {how.rstrip('.')}."
    return ChildNotStartedError(message, hint=hint)


def answer_of(output: bytes) -> bytes:
    """What a child answered; empty if it did not start its work."""
    return output.partition(STARTED)[2]


def last_line(output: bytes) -> str:
    """The last line that a child printed; in a traceback, this is the error itself."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def ending(child: "subprocess.CompletedProcess[bytes]") -> str:
    """How a child ended, if it did not answer."""
    if child.returncode < 0:
        return f"signal {-child.returncode}"
    return f"exit code {child.returncode}: {last_line(child.stderr) or 'it printed nothing'}"


def has_crashed(child: "subprocess.CompletedProcess[bytes]") -> bool:
    """Whether the child's own work ended it, rather than the machine or an operator."""
    return -child.returncode in CRASHES


# In the child


@contextlib.contextmanager
def answering() -> Iterator[IO[str]]:
    """
    Report that this child runs, and yield the file for its answer.

    Everything else that is printed, e.g. by a site's settings, goes to standard error.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        answer.write(STARTED.decode())
        answer.flush()
        yield answer


def leave() -> None:
    """End this process at once: threads that the site's code started could keep it alive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _site_options() -> list[str]:
    """-I, or the same with the user's own packages if this process imports those too."""
    has_user_site = getattr(sys.modules.get("site"), "ENABLE_USER_SITE", False)
    return ["-E", "-P"] if has_user_site else ["-I"]


def _own_path() -> list[str]:
    """The folder of ``backups``, then this process's path, for Django's SQL functions."""
    root = str(Path(backups.__file__).resolve().parents[1])
    return list(dict.fromkeys([root, *filter(os.path.isabs, sys.path)]))


def _site_path() -> list[str]:
    """This process's import path. A current folder that no longer exists is left out."""
    absolute = []
    for path in sys.path:
        with contextlib.suppress(OSError):
            absolute.append(os.path.abspath(path))
    return absolute
