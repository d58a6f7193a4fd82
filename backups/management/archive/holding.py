"""``manage.py backups hold`` and ``release``: which stored snapshots nobody may delete."""

from argparse import ArgumentParser
from typing import Any

from backups.management.archive.targets import open_archive
from backups.management.archive.verb import Verb, add_id


class Hold(Verb):
    """Holds a stored snapshot: neither prune nor delete removes it until it is released."""

    name = "hold"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        parser.add_argument(
            "--reason",
            metavar="WORDS",
            default="",
            help="why it must stay, for whoever wants to delete it",
        )

    def run(self, *args: Any, id: str, reason: str, **options: Any) -> None:  # noqa: A002
        with open_archive(**options) as archive:
            held = archive.hold(id, reason=reason)
        if not self.command.is_quiet:
            self.command.tell(f"{held['name']} is held until it is released.")


class Release(Verb):
    """Releases a stored snapshot that was held: from now on it can be deleted."""

    name = "release"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)

    def run(self, *args: Any, id: str, **options: Any) -> None:  # noqa: A002  # as it is on the command line
        with open_archive(**options) as archive:
            released = archive.release(id)
        if not self.command.is_quiet:
            self.command.tell(f"{released['name']} is not held any more.")
