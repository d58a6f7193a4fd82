"""
What a user would pick instead, each in an environment of its own that is filled from PyPI.

Versions stand in ``*.in`` in here, and of taskdog's own server in ``requirements-cli.in``.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import LeftOutError
from benchmarks.serving import Server, running
from benchmarks.stores import CHECKOUT

HERE = Path(__file__).parent
NEWEST = 19  # the minor version of Python 3 up to which one is looked for


@dataclass(frozen=True)
class Peer:
    """A program, what pip installs for it, and the oldest Python 3 that will do."""

    program: str
    requirements: Path
    python: int = 11


TASKDOG_SERVER = Peer("taskdog-server", CHECKOUT / "requirements-cli.txt", python=12)
POCKETBASE = Peer("pocketbase", HERE / "pocketbase.txt")
LITESTREAM = Peer("litestream", HERE / "litestream.txt")


@dataclass(frozen=True)
class Peers:
    """The folder of their environments, if they are wanted, and a Python if this one is too old."""

    folder: Path | None
    python: str = sys.executable

    def program(self, peer: Peer) -> Path:
        """
        The path of its program, in an environment that is made now if there is none yet.

        :raises LeftOutError: there is no Python for it, or pip did not get it.
        """
        if self.folder is None:
            raise LeftOutError("no folder for its environment was named")
        environment = self.folder / peer.program
        wanted, has = peer.requirements.read_text(), environment / "requirements.txt"
        if not has.exists() or has.read_text() != wanted:
            shutil.rmtree(environment, ignore_errors=True)
            output_of(self._python(peer.python), "-m", "venv", environment)
            output_of(
                *(environment / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"),
                *("-r", peer.requirements),
            )
            has.write_text(wanted)
        return environment / "bin" / peer.program

    def version(self, peer: Peer) -> str:
        """As pip knows it; empty if it can't be had."""
        try:
            python = self.program(peer).with_name("python")
        except LeftOutError:
            return ""
        found = output_of(
            python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"
        )
        return next(line for line in found.splitlines() if line.startswith(peer.program))

    def _python(self, least: int) -> str:
        names = (f"python3.{minor}" for minor in range(least, NEWEST))
        for name in (sys.executable, self.python, *names):
            if _is_python(name, least):
                return name
        raise LeftOutError(f"there is no Python 3.{least} or newer here")


def enter_server(
    stack: ExitStack,
    command: Sequence[str | Path],
    listens: str,
    variables: Mapping[str, str] | None = None,
) -> Server:
    """
    Run a server until the end of the stack.

    :raises LeftOutError: it did not start.
    """
    try:
        return stack.enter_context(running(command, listens, variables or {}))
    except RuntimeError as error:
        raise LeftOutError(f"it did not start: {str(error).strip().splitlines()[-1]}") from error


def output_of(*command: str | Path) -> str:
    """
    Run a command, and return what it printed.

    :raises LeftOutError: it failed.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LeftOutError((done.stderr.strip() or "it failed without a word").splitlines()[-1])
    return done.stdout


def _is_python(name: str, least: int) -> bool:
    """Whether it runs, too: pyenv has names for those that are not chosen."""
    script = f"import sys; sys.exit(sys.version_info < (3, {least}))"
    with contextlib.suppress(OSError):
        return (
            subprocess.run([name, "-c", script], check=False, capture_output=True).returncode == 0
        )
    return False
