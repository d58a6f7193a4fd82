"""``manage.py backups``: the stored snapshots. A verb says what to do with them."""

from argparse import SUPPRESS
from typing import Any

from django.core.management.base import CommandParser

from backups.management.archive.download import Download
from backups.management.archive.holding import Hold, Release
from backups.management.archive.keygen import Keygen
from backups.management.archive.listing import List, Show
from backups.management.archive.log import Log
from backups.management.archive.media import RestoreMedia
from backups.management.archive.notify import Notify
from backups.management.archive.retention import Delete, Prune
from backups.management.archive.run_due import RunDue
from backups.management.archive.verb import Verb
from backups.management.archive.verify import Verify
from backups.management.archive.work import Work
from backups.management.base import StoreCommand

VERBS: tuple[type[Verb], ...] = (
    *(List, Show, Verify, Download, RestoreMedia),
    *(Prune, Delete, Hold, Release),
    *(RunDue, Log, Notify, Keygen),
    Work,
)


class Command(StoreCommand):
    """Each verb has its own help: ``manage.py backups list --help``."""

    help = (
        "Works with the stored snapshots: where they are, whether they can be restored, which stay."
        " A new one is stored by: manage.py backup --store"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self._verbs = {verb.name: verb(self) for verb in VERBS}
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        for name, verb in self._verbs.items():
            words = (verb.__doc__ or "").strip()
            shown: dict[str, Any] = {} if verb.is_hidden else {"help": words.partition(".")[0]}
            inner = verbs.add_parser(name, description=words, **shown)
            verb.add_arguments(inner)
            self.add_store_arguments(inner)
            inner.add_argument(  # Django's own stands before the verb only
                "-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS
            )

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        self._verbs[verb].run(**options)
