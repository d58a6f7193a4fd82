"""What a verb of ``manage.py backups`` is."""

import json
from argparse import ArgumentParser
from typing import Any, ClassVar

from backups.management.base import StoreCommand
from backups.management.output import printing


class Verb:
    """One verb: ``manage.py backups list``. Its docstring is its help."""

    name: ClassVar[str]
    is_hidden: ClassVar[bool] = False  # not in the help

    def __init__(self, command: StoreCommand) -> None:
        """``command`` prints, asks and ends for it."""
        self.command = command

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add its own arguments."""

    def run(self, *args: Any, **options: Any) -> None:
        """Do it. :raises CommandError: it could not be done."""
        raise NotImplementedError

    def print(self, words: str, *, what: str) -> None:
        """Print what was asked for. :param what: its name, for the message if it fails."""
        with printing(what, self.command.stdout):
            self.command.stdout.write(words)


def add_id(parser: ArgumentParser) -> None:
    """Add the argument that names a stored snapshot."""
    parser.add_argument("id", metavar="ID", help="its id, its name, or latest")


def as_json(answer: Any) -> str:
    """For a program, and still fit to be read."""
    return json.dumps(answer, indent=2, ensure_ascii=False)
