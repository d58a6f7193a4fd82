"""The raw copies of a database that SQLite can't read: a folder with the file and its sidecars."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_folder
from backups.sqlite.format.connection import has_content


def keep_raw(paths: StorePaths, kept: Path) -> Path | None:
    """
    Keep a database that SQLite can't read, as a folder of raw copies, and remove its sidecars.

    :param kept: the name of that folder, which is free.
    :returns: None if there was nothing to keep.
    :raises OSError: a step failed; each file is where it was, or in the folder.
    """
    with ExitStack() as stack:
        return _keep_raw(paths, open_all(paths, stack), kept)


@contextlib.contextmanager
def kept_raw(paths: StorePaths, originals: dict[Path, int], name: Path) -> Iterator[Path | None]:
    """
    Keep a database that SQLite can't read, or what is left of a missing one, byte for byte.

    These are copies, not links: a crash must not separate the files. Then the sidecars are
    unlinked, since they would be replayed into the next database. If the block fails they are put
    back.
    """
    kept = _keep_raw(paths, originals, name)
    try:
        yield kept
    except BaseException:
        if kept is not None and files.exists(paths.pending):
            _put_back(paths, kept, originals)
        raise


def _keep_raw(paths: StorePaths, originals: dict[Path, int], name: Path) -> Path | None:
    kept = name if originals else None
    if kept is not None:
        _copy_set(paths, originals, kept)
    try:
        # Invariant 2 of apply_at_start.py: the copies outlive a power cut before the unlinks.
        files.sync_folder(paths.folder)
        for sidecar in paths.sidecars:
            files.unlink(sidecar)
        files.sync_folder(paths.folder)
    except OSError:
        if kept is not None:
            _put_back(paths, kept, originals)
        raise
    return kept


def _copy_set(paths: StorePaths, originals: dict[Path, int], destination: Path) -> None:
    """Copy all, durably, into a folder that appears whole and never overwrites."""
    refuse_taken(destination)
    with temporary_folder(paths, "keeping") as folder:
        for path, original in originals.items():
            copy = files.create_private(folder.path / path.name, owner_of=folder.path)
            try:
                files.copy(original, copy)
            finally:
                os.close(copy)
        files.sync_folder(folder.path)
        files.replace(folder.path, destination)


def _put_back(paths: StorePaths, kept: Path, originals: Iterable[Path]) -> None:
    for sidecar in originals:
        if sidecar != paths.database:
            files.replace(kept / sidecar.name, sidecar)
    files.sync_folder(paths.folder)  # or a power cut could undo the renames after the next step
    remove_folder(paths, kept)


def open_all(paths: StorePaths, stack: ExitStack) -> dict[Path, int]:
    """
    Open those of the database and its sidecars that have content, in case they must be copied.

    Opened before SQLite opens them and closed after it, or the close would drop its locks.
    """
    originals = {}
    for path in (paths.database, *paths.sidecars):
        if has_content(path):
            originals[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, originals[path])
    return originals


def remove_folder(paths: StorePaths, kept: Path) -> None:
    """Rename a folder of copies so that a start would sweep it, then remove it."""
    temporary = paths.temporary("keeping")
    files.replace(kept, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def refuse_taken(name: Path) -> None:
    """A rename would overwrite it. No other process makes such names: this one is alone."""
    if files.exists(name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))
