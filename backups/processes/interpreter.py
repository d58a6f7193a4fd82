"""
Find the Python to run child processes with.

``sys.executable`` is the server's own binary under uWSGI, the program itself where Python is
frozen or embedded, and empty or another Python under mod_wsgi. Starting it could start a second
server. So we start only what has the name of a Python. Unless it is the program that this process
runs, it must first prove that it is the same Python.
"""

import functools
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

from backups import which_sqlite
from backups.exceptions import ChildNotStartedError
from backups.processes.environment import without_secrets

named = ""  # BACKUPS_PYTHON

PROBE_SECONDS = 20.0  # a start of Python takes a hundredth of one
_NAME = re.compile(r"\.?(python|pypy|graalpy)[\d.]*[a-z]*(-wrapped)?(\.exe)?", re.IGNORECASE)
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_PROBE = """
import importlib, sys
print('backups', sys.implementation.cache_tag)
sys.path += sys.argv[2:]
print(*importlib.import_module(sys.argv[1]).sqlite_version_info)
"""


def find_python() -> str:
    """
    The path of a Python of this process's version. Each process searches only once.

    :raises ChildNotStartedError: there is none, or BACKUPS_PYTHON names another.
    """
    return _find(named, sys.executable)


def explain_unfit(python: str) -> str:
    """Start this program, and return why it can't run our children; empty if it can."""
    if not os.access(python, os.X_OK) or os.path.isdir(python):
        return "is not a program that this user may run"
    module, paths = which_sqlite.module_name(), filter(os.path.isabs, sys.path)
    try:
        probe = subprocess.run(
            [python, "-I", "-S", "-c", _PROBE, module, *paths],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            env=without_secrets(),  # as our children are started
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"could not be run: {error}"
    words = probe.stdout.decode("utf-8", "replace").split()
    if words[:1] != ["backups"] or len(words) < 2:
        return "did not answer like a Python"
    if words[1] != sys.implementation.cache_tag:
        return f"is {words[1]}, but this process is {sys.implementation.cache_tag}"
    if len(words) < 3:
        return f"can't import {module}"
    if tuple(map(int, words[2:])) < sqlite3.sqlite_version_info:
        found = ".".join(words[2:])
        return f"has SQLite {found}, but this process has {sqlite3.sqlite_version}"
    return ""


@functools.cache
def _find(named: str, executable: str) -> str:
    """Takes as arguments what the answer depends on, for the cache."""
    if named:
        if problem := explain_unfit(named):
            raise ChildNotStartedError(f"BACKUPS_PYTHON is {named}, which {problem}.")
        return named
    for candidate in dict.fromkeys(_candidates(executable)):
        if _NAME.fullmatch(os.path.basename(candidate)) and (
            _is_this_program(candidate) or not explain_unfit(candidate)
        ):
            return candidate
    raise ChildNotStartedError(
        f"No Python {_VERSION} was found for child processes: this one is {executable or 'unnamed'}"
        f", and there is none in {sys.prefix} or {sys.base_prefix}."
    )


def _candidates(executable: str) -> Iterator[str]:
    """Where this process's Python may be, the most likely place first."""
    names = (f"python{_VERSION}", "python3", "python")
    library = os.path.dirname(os.path.dirname(os.path.realpath(os.__file__)))
    if executable:
        yield executable
    for prefix in (sys.prefix, sys.exec_prefix):
        yield from (os.path.join(prefix, "bin", name) for name in names)
    yield getattr(sys, "_base_executable", "") or ""
    for prefix in (sys.base_prefix, sys.base_exec_prefix, os.path.dirname(library)):
        yield from (os.path.join(prefix, "bin", name) for name in names)
    import shutil  # slow to import, and rarely needed

    yield from filter(os.path.isabs, filter(None, map(shutil.which, names[:2])))


def _is_this_program(candidate: str) -> bool:
    """
    Whether it is the program that this process runs, so it needs no proof. With PYTHONHOME it does:
    a child ignores that variable, and may not find its library without it.
    """
    try:
        return "PYTHONHOME" not in os.environ and os.path.samefile(candidate, "/proc/self/exe")
    except OSError:
        return False
