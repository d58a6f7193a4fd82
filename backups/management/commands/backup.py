"""``manage.py backup``: save a snapshot as a file."""

import sys
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backups import services
from backups.disk import atomic_file
from backups.disk.progress import counted
from backups.disk.sizes import size_in_words
from backups.exceptions import InvalidSnapshotError, OtherKindError, TooManyUploadsError
from backups.management.archive.targets import open_archive
from backups.management.base import StoreCommand
from backups.management.output import printing
from backups.management.progress import progress_bar
from backups.management.targets import Json, LocalTarget, NamedSnapshot, open_target
from backups.startup.precedence import unless_taken

STORED = "No part of a snapshot was left. manage.py backups list shows what is stored."
SEE = "See which with --check."
KEPT = (
    "A restore accepts it if the live database has the same defects, or with --accept-defects."
    " It is better to repair them."
)


class BackupCommand(StoreCommand):
    """The file appears only when it is whole. If anything fails, nothing is left behind."""

    help = (
        "Takes a snapshot of the whole database while the site keeps writing. Prints the path of"
        " the file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-o",
            "--output",
            metavar="PATH",
            default=".",
            help="a file, a folder, or - for standard output; default: a file named after the"
            " time (UTC) in the current folder",
        )
        parser.add_argument("--force", action="store_true", help="replace a file that exists")
        parser.add_argument(
            "--compact",
            action=BooleanOptionalAction,
            help="rewrite the database without gaps, or take its own pages, which is faster;"
            " default: its size decides",
        )
        parser.add_argument(
            "--compress",
            action="store_true",
            help="let a server compress the transfer, for a slow line; the file is not compressed",
        )
        parser.add_argument(
            "--store",
            action="store_true",
            help="store it in the archive (STORAGES['backups']), compressed, and encrypted if"
            " BACKUPS_RECIPIENTS is set; see manage.py backups list",
        )
        parser.add_argument(
            "--label",
            metavar="WORD",
            help="with --store: a word to know it by; it is stored even if nothing has changed",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="check the file as a restore would; it is kept in any case, and the exit code"
            " is the result",
        )
        self.add_store_arguments(parser)

    def handle(
        self,
        *args: Any,
        output: str,
        force: bool,
        compact: bool | None,
        compress: bool,
        database: str | None,
        check: bool,
        store: bool,
        label: str | None,
        url: str | None,
        local: bool,
        insecure: bool,
        **options: Any,
    ) -> None:
        if store:
            if output != "." or force or compact is not None or compress or check:
                raise CommandError("With --store only --label, --database and --url can be given.")
            self._store(label, url=url, local=local, database=database, insecure=insecure)
            return
        if label is not None:
            raise CommandError("--label is for --store.")
        if output == "-" and check:
            raise CommandError("--check needs a file: it can't check what went to standard output.")
        if output == "-":
            _check_standard_output()
        else:
            _check_destination(output, force)
        path = None
        with (
            open_target(url, local=local, database=database, insecure=insecure) as target,
            target.create_snapshot(compact=compact, compress=compress) as snapshot,
            progress_bar("Saving", snapshot.size, is_quiet=self.is_quiet) as progress,
        ):
            shown = snapshot._replace(chunks=counted(snapshot.chunks, progress))
            if output == "-":
                self._print(shown)
            else:
                path = self._save(shown, Path(output), force)
        if path is not None and not self.is_quiet:  # once the progress bar is gone
            size = size_in_words(path.stat().st_size)
            about = ", ".join(filter(None, (size, snapshot.method)))
            self.say(f"A snapshot of {target.where} ({about}) is whole and on the disk:")
            self.tell(str(path))
        if path is not None and check:
            self._examine(path, is_own=isinstance(target, LocalTarget), database=database)
        if snapshot.defects and not check:
            self.say(f"Warning: the database has old defects: {snapshot.defects}. {SEE}")

    def _store(self, label: str | None, **options: Any) -> None:
        self.let_others_first()
        self.when_interrupted = STORED
        with (
            open_archive(**options) as archive,
            progress_bar("Storing", None, is_quiet=self.is_quiet) as progress,
        ):
            answer = archive.store(label=label, progress=progress)
        stored = answer["backup"]
        if answer["status"] == "unchanged":
            self.say(f"Nothing has changed since {stored['id']}, so nothing was stored.")
        else:
            size = f"{size_in_words(stored['database_size'])} as {size_in_words(stored['size'])}"
            self.inform(f"A snapshot of {archive.where} ({size}) is stored:")
            if media := stored["media"]:
                self._tell_of_media(media)
        self.tell(stored["name"])

    def _tell_of_media(self, media: Json) -> None:
        new = f"{media['new']:,} new, {size_in_words(media['new_size'])}"
        self.inform(f"With {media['files']:,} media files, {size_in_words(media['size'])} ({new}).")
        for warning in media["warnings"]:
            self.say(f"Warning: {warning}")

    def _examine(self, path: Path, *, is_own: bool, database: str | None) -> None:
        """Check the saved file. It stays in any case: it is better than no backup."""
        try:
            wrong = services.check_snapshot(path, is_own=is_own, database=database)
        except OtherKindError as error:  # it is whole, as far as the server has said
            raise CommandError(f"{path} is kept, but it can't be checked here: {error}") from error
        except InvalidSnapshotError as error:
            raise CommandError(f"{path} is kept, but a restore would refuse it: {error}") from error
        except TooManyUploadsError as error:
            raise CommandError(f"{path} is kept, but it was not checked: {error}") from error
        if wrong:
            raise CommandError(f"{path} is kept. {' '.join(wrong)} {KEPT}")
        self.inform("It was checked as a restore would: nothing is wrong with it.")

    def _save(self, snapshot: NamedSnapshot, output: Path, force: bool) -> Path:
        is_named_here = output.is_dir()
        path = output / snapshot.name if is_named_here else output
        services.check_not_own(path)  # a remote server may have chosen the name
        chunks = snapshot.chunks
        if snapshot.is_from_server:
            chunks = atomic_file.within_room(chunks, path.parent, snapshot.size)
        # Keep both of two snapshots of one second. And no server chooses what --force replaces.
        if is_named_here and (not force or snapshot.is_from_server):
            path = atomic_file.save_as_new(chunks, path)
        else:
            atomic_file.save(chunks, path, overwrite=force)
        if is_named_here and snapshot.note:
            self.inform(snapshot.note)
        return path

    def _print(self, snapshot: NamedSnapshot) -> None:
        with printing("the snapshot", self.stdout):
            for chunk in snapshot.chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


def _check_destination(output: str, force: bool) -> None:
    """Refuse a bad destination before the store does any work."""
    path = Path(output)
    if path.is_dir():
        return
    if output.endswith("/"):
        raise CommandError(f"There is no folder {output}. Create it, or choose another.")
    services.check_not_own(path)
    atomic_file.check(path, overwrite=force)


def _check_standard_output() -> None:
    if sys.stdout is None:
        raise CommandError("Standard output is closed: name a file with -o, or redirect it.")
    if sys.stdout.isatty():
        raise CommandError("A snapshot is not for a terminal: redirect standard output.")


def __getattr__(name: str) -> Any:
    """``Command``, when Django asks for it: only then can the project's own be imported."""
    if name == "Command":
        return unless_taken("backup", BackupCommand)
    raise AttributeError(name)
