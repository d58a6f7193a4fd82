"""
What to call a process in a message: its program and, for ``manage.py``, the command that it runs.

Never more of its command line: arguments, titles and the code of a ``-c`` can hold passwords.
Reads only /proc, where other users' processes are listed too.
"""

import os
import re
from collections.abc import Callable

# A word that is hardly a secret, and keeps a log line intact.
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,39}")
PYTHON = re.compile(r"(python|pypy|graalpy)[\d.]*", re.IGNORECASE)
VALUE = re.compile(r"-[A-Za-z]*?([cmWX])(.*)", re.DOTALL)  # options of Python with a value
LONGEST_BYTES = 4096  # the program comes first
OF_DJANGO = ("manage.py", "django-admin", "django-admin.py", "django")


# Whether a word is a management command of this site: only such a word is shown. See apps.py.
is_command: Callable[[str], bool] = lambda _: False  # noqa: E731


def name_of(pid: int) -> str:
    """
    What a process in our own namespace runs: ``gunicorn``, ``manage.py shell``, ``python -c``.
    Empty if the system does not tell, e.g. for a process in another container.
    """
    words = _read(pid, "cmdline").split("\0")
    program = _program(words[0]) or _program(_read(pid, "comm").strip().split(" ")[0])
    if PYTHON.fullmatch(program):
        return _name_of_python(program, words[1:])
    return _with_command(program, words[1:])


def _program(word: str) -> str:
    """A process may have replaced its path by a title, which can contain anything."""
    is_path = word.isprintable() and " " not in word and "://" not in word
    return _plain(os.path.basename(word).strip("[]:-")) if is_path else ""


def _name_of_python(python: str, words: list[str]) -> str:
    rest = iter(words)
    for word in rest:
        if word in ("", "-"):  # no program, or one from standard input
            break
        if not word.startswith("-"):
            return _with_command(_plain(os.path.basename(word)), list(rest)) or python
        if word == "--check-hash-based-pycs":
            next(rest, "")
        elif takes := VALUE.fullmatch(word):
            option, value = takes.groups()
            value = value or next(rest, "")
            if option == "c":
                return f"{python} -c"
            if option == "m":
                return _with_command(_plain(value), list(rest)) or python
    return python


def _with_command(program: str, words: list[str]) -> str:
    """Show only the word where Django looks for a command."""
    if program in OF_DJANGO and words and _plain(words[0]) and is_command(words[0]):
        return f"{program} {words[0]}"
    return program


def _plain(word: str) -> str:
    return word if PLAIN.fullmatch(word) else ""


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read(LONGEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
