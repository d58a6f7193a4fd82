"""Paths that a person names, compared with the database's own files."""

from pathlib import Path

from backups import local
from backups.exceptions import OwnFileError


def check_not_live(source: Path) -> None:
    """
    Refuse to read the live database as if it were a snapshot. Reads no content.

    Closing any descriptor of it would drop the locks of every connection in this process, and
    its newest rows may be in its WAL and not in it.

    :raises OwnFileError: ``source`` is the live database or one of SQLite's files beside it.
    """
    for own in (path for each in local.all_paths() for path in (each.database, *each.sidecars)):
        if own.exists() and source.exists() and own.samefile(source):
            raise OwnFileError(
                f"{source} is the live database, not a snapshot.",
                hint="Take a snapshot with: manage.py backup",
            )


def check_not_own(destination: Path) -> None:
    """
    Refuse to write where the live database, or a file that belongs to it, has its name.

    :raises OwnFileError: the name begins with the database's own, in its folder.
    """
    for own in local.own_names():
        if not destination.name.startswith(own.name) or not destination.parent.exists():
            continue
        if own.parent.exists() and destination.parent.samefile(own.parent):
            raise OwnFileError(
                f"{destination} is reserved for files of the live database.",
                hint="Choose another name, or another folder.",
            )
