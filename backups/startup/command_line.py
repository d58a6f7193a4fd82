"""
Which management command this process runs, whatever the program is called.

``AppConfig.ready`` runs inside ``django.setup()``. ``ManagementUtility.execute()`` calls that when
it has the command's arguments, so we find them in its frame. ``sys.argv`` can be wrong: a program
may pass Django another list (``archivebox manage restore_db``). We use it only if a program has set
up Django by itself.
"""

import inspect
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import takewhile
from typing import Any, NamedTuple

from django.core.management import ManagementUtility, get_commands

from backups.startup.precedence import OTHER_NAMES, others_with

APP = "backups"
# A project's command imports this if it extends one of this app.
COMMANDS = re.compile(r"backups\.management(?!\.output\b)")
COMPLETING = "DJANGO_AUTO_COMPLETE"  # set by shell completion, for which Django runs a real process
BEFORE_A_COMMAND = ("manage", "manage.py", "django-admin")


class CommandLine(NamedTuple):
    """A management command and its arguments."""

    name: str  # empty if the process runs none, e.g. a server
    options: tuple[str, ...]
    only_tells: bool = False  # help, the version or a completion: no command runs

    @property
    def is_ours(self) -> bool:
        """Whether this is a command of this app, or a project's command that extends one."""
        app = get_commands().get(self.name)
        if app == APP and self.name in OTHER_NAMES:
            app = next(
                others_with(self.name), APP
            )  # a project's command of that name replaces ours
        if app == APP:
            return True
        return isinstance(app, str) and COMMANDS.search(_source(app, self.name)) is not None


def current() -> CommandLine:
    """The command line of this process. Call it while Django is being set up."""
    for utility in _utilities_at_work():
        command = _parse(utility.argv[1:])
        return command._replace(only_tells=command.only_tells or _lacks(utility, command.name))
    return _parse_sys_argv(sys.argv[1:])


def is_known(name: str) -> bool:
    """Whether this site has a management command of that name."""
    return name in get_commands()


def _utilities_at_work() -> Iterator[ManagementUtility]:
    """Each ``ManagementUtility`` that is executing in a frame above this one."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is ManagementUtility.execute.__code__:
            yield frame.f_locals["self"]
        frame = frame.f_back


def _lacks(utility: ManagementUtility, name: str) -> bool:
    """Whether Django will report an unknown command. A project's utility may find more."""
    finds_as_django = type(utility).fetch_command is ManagementUtility.fetch_command
    return bool(name) and finds_as_django and name not in get_commands()


def _parse(words: list[str]) -> CommandLine:
    options = tuple(words[1:])
    name = words[0] if words else ""  # no word: a start like any other
    only_tells = (
        COMPLETING in os.environ
        or name in ("help", "version", "-h")
        or any(map(_asks_for_help, takewhile(lambda word: word != "--", words)))
    )
    return CommandLine(name, options, only_tells)


def _asks_for_help(word: str) -> bool:
    """Whether this is ``--help`` or ``--version``, or an abbreviation that argparse accepts."""
    if word == "-h":
        return True
    shortest = ("--h", "--vers")  # --ver could be --verbosity as well
    return word.startswith(shortest) and ("--help".startswith(word) or "--version".startswith(word))


def _parse_sys_argv(words: list[str]) -> CommandLine:
    """Django's arguments follow ``manage``; without it, look for a command of this app."""
    for number, word in enumerate(words, start=1):
        if word in BEFORE_A_COMMAND:
            return _parse(words[number:])
    leading = takewhile(lambda word: not word.startswith("-"), words)
    ours = (word for word in leading if get_commands().get(word) == APP)
    name = next(ours, words[0] if words else "")
    # Another program's -h may be a host.
    only_tells = name in ("help", "version") or "--help" in words or "--version" in words
    return CommandLine(name, tuple(words[1:]), only_tells or COMPLETING in os.environ)


def _source(app: str, name: str) -> str:
    """
    The source of the command's module. It is not imported: no app of the site is ready yet, and a
    module that is imported too early is never loaded again.
    """
    with suppress(ImportError, AttributeError, ValueError, OSError):
        module = f"{app}.management.commands.{name}"
        loader: Any = getattr(find_spec(module), "loader", None)
        return loader.get_source(module) or ""
    return ""
