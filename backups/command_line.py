"""
Which management command this process runs, whatever the program is called.

``AppConfig.ready`` runs inside ``django.setup()``, which ``ManagementUtility.execute()`` calls
once it knows the words of the command: they are found in its frame. ``sys.argv`` alone can be
wrong: a program may hand Django a list of its own (``archivebox manage restore_db``). It is asked
only where a program has set Django up by itself.
"""

import inspect
import os
import sys
from collections.abc import Iterator
from itertools import pairwise, takewhile
from typing import NamedTuple

from django.core.management import ManagementUtility, get_commands

from backups.management.precedence import OTHER_NAMES, others_with

APP = "backups"
COMPLETING = "DJANGO_AUTO_COMPLETE"  # set by Django's shell completion, which asks a real process
BEFORE_A_COMMAND = ("manage", "manage.py", "django-admin")


class CommandLine(NamedTuple):
    """A management command and what follows it."""

    name: str  # empty where the process runs none, e.g. in a server
    options: tuple[str, ...]
    only_tells: bool = False  # help, a version or a completion: no command runs

    @property
    def is_ours(self) -> bool:
        """Whether this app's own code runs, and not a project's command of the same name."""
        is_named_so = get_commands().get(self.name) == APP
        return is_named_so and not (self.name in OTHER_NAMES and any(others_with(self.name)))


def current() -> CommandLine:
    """The command line of this process. To be called while Django is being set up."""
    for words in _words_given_to_django():
        return _parse(words)
    return CommandLine(_named_by_the_system(), tuple(sys.argv[2:]))


def _words_given_to_django() -> Iterator[list[str]]:
    """The words of each ``ManagementUtility`` that is at work above this frame."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is ManagementUtility.execute.__code__:
            yield frame.f_locals["self"].argv[1:]
        frame = frame.f_back


def _parse(words: list[str]) -> CommandLine:
    options = tuple(words[1:])
    name = words[0] if words else "help"  # as Django has it
    only_tells = (
        COMPLETING in os.environ
        or name in ("help", "version", "-h")
        or any(map(_asks_to_be_told, takewhile(lambda word: word != "--", words)))
    )
    return CommandLine(name, options, only_tells)


def _asks_to_be_told(word: str) -> bool:
    """``--help`` or ``--version``, or what argparse takes for one of them."""
    if word == "-h":
        return True
    shortest = ("--h", "--vers")  # --ver could be --verbosity as well
    return word.startswith(shortest) and ("--help".startswith(word) or "--version".startswith(word))


def _named_by_the_system() -> str:
    """The command of ours in ``sys.argv``: among its first words, or right behind ``manage``."""
    words = sys.argv[1:]
    leading = takewhile(lambda word: not word.startswith("-"), words)
    behind = (word for before, word in pairwise(words) if before in BEFORE_A_COMMAND)
    ours = (word for word in (*leading, *behind) if get_commands().get(word) == APP)
    return next(ours, words[0] if words else "")
