"""
Programs that a user could choose instead, each in a separate environment, installed from PyPI.

Their versions are in the files ``*.in`` of this folder; that of taskdog's own server is in
``requirements-cli.in``.
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
NEWEST = 19  # we look for minor versions of Python 3 below this one


@dataclass(frozen=True)
class Peer:
    """A program, what pip installs for it, and the oldest minor version of Python 3 for it."""

    program: str
    requirements: Path
    python: int = 11


TASKDOG_SERVER = Peer("taskdog-server", CHECKOUT / "requirements-cli.txt", python=12)
POCKETBASE = Peer("pocketbase", HERE / "pocketbase.txt")
LITESTREAM = Peer("litestream", HERE / "litestream.txt")


@dataclass(frozen=True)
class Peers:
    """The folder of the environments, None for no peers; and a Python if this one is too old."""

    folder: Path | None
    python: str = sys.executable

    def program(self, peer: Peer) -> Path:
        """
        Return the path of its program. Makes the environment if it is missing or out of date.

        :raises LeftOutError: there is no folder or no Python for it, or pip could not install it.
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
        """Its name and version, as pip lists them; empty if it is not available."""
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
    Run a server until the stack ends.

    :raises LeftOutError: the server did not start.
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
        raise LeftOutError((done.stderr.strip() or "it failed without a message").splitlines()[-1])
    return done.stdout


def _is_python(name: str, least: int) -> bool:
    """Whether it runs and is new enough: pyenv also has names of versions that do not run."""
    script = f"import sys; sys.exit(sys.version_info < (3, {least}))"
    with contextlib.suppress(OSError):
        return (
            subprocess.run([name, "-c", script], check=False, capture_output=True).returncode == 0
        )
    return False
