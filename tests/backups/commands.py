"""Management commands as real processes that can be answered and interrupted."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.forked import Forked
from tests.processes import CHECKOUT, environment
from tests.site import Site

SECONDS = 60


class Ended(NamedTuple):
    """What a command left: both streams as bytes and text, and the exit code."""

    stdout: bytes
    err: str
    code: int

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.stdout.decode()


def start(
    site: Site,
    *arguments: str,
    cwd: Path = CHECKOUT,
    stdout: "int | IO[Any]" = subprocess.PIPE,
    stderr: "int | IO[Any]" = subprocess.PIPE,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a command on a site; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), *arguments],
        cwd=cwd,
        env=environment(site.data, **site.variables, **(variables or {})),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
    )


def end(process: "subprocess.Popen[bytes]", answer: bytes = b"") -> Ended:
    """Answer what it asks, with end of file after that, and wait for it."""
    out, err = process.communicate(answer, timeout=SECONDS)
    return Ended(out or b"", (err or b"").decode(), process.returncode)


def run(
    site: Site,
    *arguments: str,
    answer: bytes = b"",
    cwd: Path = CHECKOUT,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command on a site to its end."""
    its_own = environment(site.data, **site.variables, **(variables or {}))
    out, err, code = Forked(list(arguments), cwd, its_own).communicate(answer, SECONDS)
    return Ended(out, err.decode(), code)


def failing_checks(folder: Path) -> dict[str, str]:
    """Variables that give the site one setting which its system checks refuse."""
    (folder / "failing_settings.py").write_text(
        "from taskdog.settings import *\nBACKUPS_BACKUP_PERMISSION = 'no.such.Permission'\n"
    )
    return {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "failing_settings"}
