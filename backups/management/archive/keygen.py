"""``manage.py backups keygen``: a pair of keys to encrypt the stored snapshots with."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backups import services as stores
from backups.archive import services
from backups.management.archive.verb import Verb

DEFAULT = "backups-secret-key.txt"
ADVICE = """\
The secret key is in {path}. Without it nobody can read the snapshots that it is for.
 1. Put the public key into the settings: BACKUPS_RECIPIENTS = ["{public}"]
 2. Keep the secret key in two places that are not this machine, e.g. a password manager and a
    sheet of paper in a safe. Then remove it here: the site does not need it to store snapshots.
 3. Try the key from one of these places: manage.py backups verify latest --identity FILE
If this machine is to verify its snapshots itself, the key must stay on it: name its file in
BACKUPS_IDENTITY_FILE. Then whoever takes over the machine can read the snapshots too.
The public key:"""


class Keygen(Verb):
    """Makes a pair of keys. Prints the public one; the secret one goes into a new file."""

    name = "keygen"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "-o",
            "--output",
            metavar="FILE",
            type=Path,
            default=Path(DEFAULT),
            help=f"the file for the secret key, which must not exist; default: {DEFAULT} in the"
            " current folder",
        )

    def run(self, *args: Any, output: Path, url: str | None, **options: Any) -> None:
        if url is not None:
            raise CommandError("keygen makes the keys on this machine: leave --url out.")
        path = output / DEFAULT if output.is_dir() else output
        stores.check_not_own(path)
        public = services.create_key_file(path)
        self.command.inform(ADVICE.format(path=path, public=public))
        self.command.tell(public)
