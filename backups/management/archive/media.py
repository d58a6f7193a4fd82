"""``manage.py backups restore-media``: put the media files of a stored snapshot back."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backups.archive.services import MediaRestored
from backups.disk.sizes import size_in_words
from backups.management.archive.targets import open_local_archive
from backups.management.archive.verb import Verb, add_id

MOST_NAMED = 20  # files of a kind


class RestoreMedia(Verb):
    """Puts back the media files of a stored snapshot that are missing. Leaves all others."""

    name = "restore-media"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        parser.add_argument(
            "--overwrite", action="store_true", help="also replace files that have another content"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument(
            "--identity",
            metavar="FILE",
            type=Path,
            help="the file with the secret key, if they are encrypted",
        )

    def run(
        self,
        *args: Any,
        id: str,  # noqa: A002  # as it is on the command line
        overwrite: bool,
        dry_run: bool,
        identity: Path | None,
        **options: Any,
    ) -> None:
        with open_local_archive(**options) as archive:
            outcome = archive.restore_media(
                id, identity=identity, overwrite=overwrite, dry_run=dry_run
            )
        self._tell(outcome)
        if outcome.failed:
            raise CommandError(
                f"{len(outcome.failed):,} media files could not be put back:\n"
                + _names(outcome.failed)
            )

    def _tell(self, outcome: MediaRestored) -> None:
        would = "would be " if outcome.dry_run else ""
        done = outcome.restored + len(outcome.overwritten)
        size = size_in_words(outcome.restored_size)
        equal = f"{outcome.equal:,} unchanged"
        self.command.tell(f"{done:,} media files {would}put back ({size}), {equal}")
        if outcome.overwritten:
            self.command.tell(f"{len(outcome.overwritten):,} {would}overwritten:")
            self.command.tell(_names(outcome.overwritten, outcome.newer))
        if outcome.differing:
            self.command.tell(
                f"{len(outcome.differing):,} with another content, not replaced (--overwrite"
                " replaces them):"
            )
            self.command.tell(_names(outcome.differing, outcome.newer))


def _names(names: list[str], newer: list[str] | None = None) -> str:
    lines = [
        f"  {_shown(name)}{' (newer than the stored one)' * (name in (newer or ()))}"
        for name in names[:MOST_NAMED]
    ]
    if len(names) > MOST_NAMED:
        lines.append(f"  and {len(names) - MOST_NAMED:,} more")
    return "\n".join(lines)


def _shown(name: str) -> str:
    """A name may have a line break, or bytes that are not text."""
    return name if name.isprintable() else ascii(name)[1:-1]
