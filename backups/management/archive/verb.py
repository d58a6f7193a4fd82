"""What a verb of ``manage.py backups`` is."""

from argparse import ArgumentParser
from typing import Any, ClassVar

from backups.management.base import StoreCommand


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
