"""``manage.py backups notify``: test the channels by which people are told of a failure."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from backups.management.archive.verb import Verb
from backups.notices import services


class Notify(Verb):
    """Sends a test by each channel that is set: mail, webhook, ping."""

    name = "notify"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--test", action="store_true", required=True, help="send a test")

    def run(self, *args: Any, database: str | None = None, **options: Any) -> None:
        sent = services.send_test(database=database)
        if not sent:
            raise CommandError(
                "Nobody is told when a backup fails: no channel is set. Set ADMINS or"
                " BACKUPS_NOTIFY_MAIL, BACKUPS_WEBHOOK, or BACKUPS_PING_URL."
            )
        for channel, error in sent:
            self.command.tell(f"{channel}: {f'FAILED. {error}' if error else 'sent'}")
        if any(error for _, error in sent):
            raise CommandError("Not every test was sent.")
