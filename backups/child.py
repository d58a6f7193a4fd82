"""Run one of our modules in a Python process of its own, with this process's import path."""

import os
import subprocess
import sys


def run_module(
    module: str, *arguments: str, seconds: float | None = None, inherit: tuple[int, ...] = ()
) -> "subprocess.CompletedProcess[bytes]":
    """
    Run ``python -m module arguments`` and wait for its end. Its output is returned, not shown.

    A parent that reaps every child (gunicorn's master while it reloads) can take the exit code
    away, so callers must go by what the child prints.

    :param seconds: wall clock limit; the child is killed at it.
    :param inherit: descriptors whose locks the child is to hold too, while it lives.
    :raises subprocess.TimeoutExpired: at the limit.
    """
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
        pass_fds=inherit,
    )


def last_line(output: bytes) -> str:
    """The last line that a child printed: of a traceback, the error itself."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
