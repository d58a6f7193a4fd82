"""``manage.py backups download``: bring a stored snapshot to this machine."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backups import services
from backups.disk import atomic_file
from backups.disk.progress import counted
from backups.disk.sizes import size_in_words
from backups.management.archive.remote import RemoteArchive
from backups.management.archive.targets import open_archive
from backups.management.archive.verb import Verb, add_id
from backups.management.progress import progress_bar

CONTINUED = "What has arrived stays in a .part file. To continue, run the same command again."


class Download(Verb):
    """Saves a stored snapshot as a file, as it is, or with --unpack as a database."""

    name = "download"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        parser.add_argument(
            "-o", "--output", metavar="PATH", default=".", help="a file or a folder; default: here"
        )
        parser.add_argument("--force", action="store_true", help="replace a file that exists")
        parser.add_argument(
            "--unpack", action="store_true", help="decrypt and unpack it to a database file"
        )
        parser.add_argument(
            "--identity",
            metavar="FILE",
            type=Path,
            help="the file with the secret key, for --unpack",
        )

    def run(  # as many as it has options
        self,
        *args: Any,
        id: str,  # noqa: A002
        output: str,
        force: bool,
        unpack: bool,
        identity: Path | None,
        **options: Any,
    ) -> None:
        if identity is not None and not unpack:
            raise CommandError(
                "--identity works only with --unpack. Without --unpack the file stays encrypted."
            )
        with open_archive(**options) as archive:
            stored = archive.get(id)
            path = _path(Path(output), stored["name"], unpack=unpack)
            if isinstance(archive, RemoteArchive):
                force = force and path == Path(output)  # a name from a server replaces nothing
                if not unpack:
                    self.command.when_interrupted = CONTINUED
            services.check_not_own(path)
            atomic_file.check(path, overwrite=force)
            size = stored["database_size"] if unpack else stored["size"]
            with progress_bar("Saving", size, is_quiet=self.command.is_quiet) as progress:
                if unpack:
                    chunks = archive.unpack(stored, identity)
                    atomic_file.save(counted(chunks, progress), path, overwrite=force)
                else:
                    archive.save(stored, path, overwrite=force, progress=progress)
        if not self.command.is_quiet:
            size = size_in_words(path.stat().st_size)
            self.command.say(f"{stored['name']} ({size}) is whole and on the disk:")
            self.command.tell(str(path))


def _path(output: Path, name: str, *, unpack: bool) -> Path:
    if unpack:
        name = name.removesuffix(".age").removesuffix(".zst")
    return output / name if output.is_dir() else output
