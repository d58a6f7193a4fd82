"""``manage.py backups run-due``: for cron, and for a timer of systemd."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from backups.management.archive.verb import Verb
from backups.management.base import WRONG_USAGE
from backups.schedule import run


class RunDue(Verb):
    """Does the scheduled backup that is due, if any: stores, verifies and removes old ones."""

    name = "run-due"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--force", action="store_true", help="do one even if none is due")

    def run(  # as many as it has options
        self, *args: Any, force: bool, database: str | None, url: str | None, **options: Any
    ) -> None:
        if url:
            raise CommandError(
                "run-due works on this machine's store. Run it where the site is.",
                returncode=WRONG_USAGE,
            )
        self.command.let_others_first()
        self.command.when_interrupted = "manage.py backups log shows what was done until then."
        outcome = run.run_due(database=database, force=force)
        if outcome.is_failure:
            raise CommandError(outcome.words)
        self.command.inform(outcome.words)
