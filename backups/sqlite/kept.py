"""
The kept copy: the database that was live before a restore, under its pre-restore name.

It is the old file itself under a second name where the file system has links: no space, no
time, and no moment in which the live name is missing. The second name exists only while the
database is settled and locked, since two names for one open database are a way to corrupt it.

Source: https://www.sqlite.org/howtocorrupt.html#_multiple_links_to_the_same_file
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from backups import files
from backups.sqlite.connection import has_content
from backups.sqlite.live import RuinedError, is_readable, settled
from backups.sqlite.paths import StorePaths
from backups.sqlite.temporary import temporary_file, temporary_folder

NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)


@contextlib.contextmanager
def retired(paths: StorePaths, moment: datetime) -> Iterator[Path | None]:
    """
    Keep the live database under its pre-restore name; in the block it may be replaced.

    Yields the kept copy: the file itself under a second name, where the file system has links;
    a folder of full copies if SQLite can't read it; None if there was nothing to keep. If the
    block fails, the kept name goes again and the database is as it was before.

    :raises RestoreBlockedError: another program has the database open.
    :raises OSError: a step failed; the database goes on.
    """
    with ExitStack() as stack:
        yield _retire(paths, moment, stack)


def _retire(paths: StorePaths, moment: datetime, stack: ExitStack) -> Path | None:
    if has_content(paths.database) and is_readable(paths.database):
        with contextlib.suppress(RuinedError):
            descriptor = stack.enter_context(settled(paths))
            return stack.enter_context(_kept(paths, descriptor, moment))
    return stack.enter_context(_kept_raw(paths, moment))


@contextlib.contextmanager
def _kept(paths: StorePaths, descriptor: int, moment: datetime) -> Iterator[Path]:
    """The settled database under its second name; the name goes again if the block fails."""

    def link_or_copy(kept: Path) -> None:
        try:
            files.link(paths.database, kept)  # no space, no time, and never overwrites
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            _copy_whole(paths, descriptor, kept)

    kept = _under_first_free_name(paths, moment, link_or_copy)
    try:
        files.sync_folder(paths.folder)  # before the rename: the old rows must outlive a power cut
        yield kept
    except BaseException:
        if os.path.samestat(os.fstat(descriptor), os.stat(paths.database)):
            files.unlink(kept)
        raise


def _copy_whole(paths: StorePaths, descriptor: int, destination: Path) -> None:
    """A durable copy of the settled database, which appears whole and never overwrites."""
    _refuse_taken(destination)
    with temporary_file(paths, "keeping") as copy:
        files.copy(descriptor, copy.descriptor)
        files.copy_attributes(paths.database, copy.path)
        files.sync(copy.descriptor)
        files.replace(copy.path, destination)


@contextlib.contextmanager
def _kept_raw(paths: StorePaths, moment: datetime) -> Iterator[Path | None]:
    """
    Keep a database that SQLite can't read, or what is left of a missing one, byte for byte.

    Copies and not links, since there are several files, and a crash must not take the set
    apart. Then its sidecars are unlinked: they would be replayed into the next database. If
    the block fails they are put back.
    """
    there = [path for path in (paths.database, *paths.sidecars) if has_content(path)]
    kept = None
    if there:
        kept = _under_first_free_name(paths, moment, lambda name: _copy_set(paths, there, name))
    try:
        files.sync_folder(paths.folder)  # before the unlinks: the copies must outlive a power cut
        for sidecar in paths.sidecars:
            files.unlink(sidecar)
        files.sync_folder(paths.folder)
        yield kept
    except BaseException:
        if kept is not None and paths.pending.exists():
            _put_back(kept, [path for path in there if path != paths.database])
        raise


def _copy_set(paths: StorePaths, sources: list[Path], destination: Path) -> None:
    """A folder with durable copies of ``sources``, which appears whole and never overwrites."""
    _refuse_taken(destination)
    with temporary_folder(paths, "keeping") as folder:
        for source in sources:
            copy = files.create_private(folder.path / source.name, owner_of=source)
            original = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                files.copy(original, copy)
            finally:
                os.close(original)
                os.close(copy)
        files.sync_folder(folder.path)
        files.replace(folder.path, destination)


def _put_back(kept: Path, sidecars: list[Path]) -> None:
    for sidecar in sidecars:
        files.replace(kept / sidecar.name, sidecar)
    shutil.rmtree(kept)


def _under_first_free_name(
    paths: StorePaths, moment: datetime, make: Callable[[Path], None]
) -> Path:
    """Make the kept copy under a name of its own, also within the same second."""
    attempt = 1
    while True:
        kept = paths.pre_restore(moment, attempt)
        try:
            make(kept)
        except FileExistsError:
            attempt += 1
        else:
            return kept


def _refuse_taken(name: Path) -> None:
    """A rename would overwrite. Nobody else makes names here: this process is alone."""
    if name.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))
