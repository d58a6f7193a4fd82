"""
New environments, with what people have beside the package: a Django, and servers.

Which Pythons there are is said by PACKAGE_PYTHONS, paths or names with spaces between; without it
this Python is the only one. Each runs the newest Django that the package is tested with, and that
it can run.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.processes import CHECKOUT, Finished

SERVERS = ("gunicorn", "pyuwsgi", "uvicorn")  # pyuwsgi is uWSGI, compiled
MINUTES = 60  # seconds in one; what pip needs of them depends on the network
# What steers Python, pip or the site in the shell of a developer must not steer a stranger's.
OURS = ("DJANGO_", "PYTHON", "TASKDOG_", "VIRTUAL_ENV")


class Pair(NamedTuple):
    """A Python, and the Django that is tried with it."""

    python: str
    django: str

    @property
    def name(self) -> str:
        """As tests are called: ``python3.13-django6.1``."""
        return f"{Path(self.python).name}-django{self.django}"


@cache
def pairs() -> list[Pair]:
    """Every Python that there is, with its Django."""
    named = os.environ.get("PACKAGE_PYTHONS", "").split() or [sys.executable]
    return [_pair(python) for python in named]


def _pair(python: str) -> Pair:
    asked = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
    version = tuple(map(int, said.stdout.split()))
    return Pair(python, "6.1" if version >= (3, 12) else "5.2")


class Environment:
    """An environment of its own, in which commands run as a stranger runs them."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        """Makes it, and installs Django and the servers: what a project has before us."""
        self.pair = pair
        self.bin = folder / "bin"
        subprocess.run([pair.python, "-m", "venv", folder], check=True)
        self.run(folder, "pip", "install", "--quiet", f"django=={pair.django}.*", *SERVERS)

    def variables(self) -> dict[str, str]:
        """The environment of a shell in which it is active."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        return kept | {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def run(self, cwd: Path, *command: str, code: int | None = 0, **variables: str) -> Finished:
        """Run a command to its end, which has to be this exit code; None for any."""
        program = shutil.which(command[0], path=str(self.bin))
        assert program is not None, f"{command[0]} is not installed"
        ended = subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env=self.variables() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * MINUTES,
            check=False,
        )
        assert code is None or ended.returncode == code, f"{command}\n{ended.stderr}"
        return Finished(ended.stdout, ended.stderr, ended.returncode)

    def packages(self) -> set[str]:
        """What is installed, by name."""
        return {
            line.partition("==")[0].partition(" @ ")[0]
            for line in self.run(self.bin, "pip", "freeze").out.splitlines()
        }


def wheel() -> Path:
    """What `make release` has built."""
    (built,) = (CHECKOUT / "dist").glob("*.whl")
    return built


def sdist() -> Path:
    """The same."""
    (built,) = (CHECKOUT / "dist").glob("*.tar.gz")
    return built
