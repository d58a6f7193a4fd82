"""``manage.py backups verify``: prove that a stored snapshot can be restored."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backups.archive.names import is_id
from backups.exceptions import NotStoredError
from backups.management.archive.targets import Archive, open_archive
from backups.management.archive.verb import Verb
from backups.management.progress import progress_bar
from backups.management.targets import Json


class Verify(Verb):
    """
    Reads a stored snapshot back, does on a scratch copy all that a restore would do, and keeps the
    result with it. Nothing is restored. The exit code is 1 if it could not be restored.
    """

    name = "verify"

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "word",
            metavar="ID",
            nargs="?",
            default="latest",
            help="the snapshot's id or name, or latest (the default); or the path of a file",
        )
        which.add_argument(
            "--latest",
            dest="word",
            action="store_const",
            const="latest",
            help="the newest snapshot",
        )
        which.add_argument(
            "--all", action="store_true", help="every stored snapshot, the newest first"
        )
        parser.add_argument(
            "--identity",
            metavar="FILE",
            type=Path,
            help="the file with the secret key; default: BACKUPS_IDENTITY_FILE",
        )

    def run(
        self,
        *args: Any,
        word: str,
        all: bool,  # noqa: A002  # as it is on the command line
        identity: Path | None,
        **options: Any,
    ) -> None:
        bad = 0
        with open_archive(**options) as archive:
            words = _every(archive) if all else [word]
            for each in words:
                bad += not self._verify(archive, each, identity)
        if not words:
            raise CommandError(f"Nothing is stored yet ({archive.where}).")
        if bad:
            which = f"{bad} of {len(words)} snapshots" if all else "The snapshot"
            raise CommandError(f"{which} could not be proven to be restorable.")

    def _verify(self, archive: Archive, word: str, identity: Path | None) -> bool:
        """Say what was found. Returns whether it can be restored."""
        path, is_quiet = Path(word), self.command.is_quiet
        if not is_id(word) and path.is_file():
            with progress_bar("Reading", path.stat().st_size, is_quiet=is_quiet) as bar:
                found = archive.verify_file(path, identity, bar)
            self._tell(str(path), found)
        elif "/" in word:
            raise CommandError(f"There is no file {word}.")
        else:
            name, size = _look_up(archive, word)
            with progress_bar("Reading", size, is_quiet=is_quiet) as bar:
                found = archive.verify(word if name is None else name, identity, bar)
            self._tell(name or word, found)
        return bool(found["outcome"] == "restorable" and not found["lost_media"])

    def _tell(self, name: str, found: Json) -> None:
        self.command.tell(f"{name}: {found['sentence']}")
        for warning in found["warnings"]:
            self.command.say(f"Warning: {warning}")


def _every(archive: Archive) -> list[str]:
    answer = archive.list()
    return [*(each["name"] for each in answer["backups"]), *answer["missing"]]


def _look_up(archive: Archive, word: str) -> tuple[str | None, int | None]:
    """Its name, and its size when it is unpacked; None for what is not known."""
    try:
        stored = archive.get(word)
    except NotStoredError:  # verify says so, or that the file is missing
        return None, None
    return stored["name"], stored["database_size"]
