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

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file, temporary_folder
from backups.sqlite.format.connection import has_content
from backups.sqlite.format.readable import is_readable
from backups.sqlite.kept.settle import is_live, settled
from backups.store import Receipt


def free_name(paths: StorePaths, moment: datetime) -> Path:
    """
    A pre-restore name that is free. Writes nothing.

    It sorts after every other of that second, also after those that were pruned since.
    """
    first = paths.pre_restore(moment).name
    taken = [kept for kept in paths.pre_restores() if kept.name.startswith(first)]
    return paths.pre_restore(moment, 1 + max(map(paths.attempt_of, taken), default=0))


def has_something(paths: StorePaths) -> bool:
    """Whether there is anything to keep: a database, or what is left of one."""
    return any(map(has_content, (paths.database, *paths.sidecars)))


@contextlib.contextmanager
def retired(paths: StorePaths, kept: Path) -> Iterator[Path | None]:
    """
    Keep the live database under the name ``kept``, a free one; in the block it may be replaced.

    Yields the kept copy: the file itself under a second name, where the file system has links;
    a folder of full copies if SQLite can't read it; None if there was nothing to keep. If the
    block fails, the kept name goes again and the database is as it was before.

    :raises RestoreBlockedError: another program has the database open.
    :raises OSError: a step failed; the database goes on.
    """
    with ExitStack() as stack:
        yield _retire(paths, kept, stack)


def _retire(paths: StorePaths, kept: Path, stack: ExitStack) -> Path | None:
    originals = _open_all(paths, stack)
    if has_content(paths.database) and is_readable(paths.database):
        descriptor = stack.enter_context(settled(paths))
        if descriptor is not None:
            return stack.enter_context(_kept(paths, descriptor, kept))
    return stack.enter_context(_kept_raw(paths, originals, kept))


def _open_all(paths: StorePaths, stack: ExitStack) -> dict[Path, int]:
    """
    The database and its sidecars, as far as they have content, to be copied if need be.

    Opened before SQLite opens them and closed after it, or the close would drop its locks.
    """
    originals = {}
    for path in (paths.database, *paths.sidecars):
        if has_content(path):
            originals[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, originals[path])
    return originals


@contextlib.contextmanager
def _kept(paths: StorePaths, descriptor: int, kept: Path) -> Iterator[Path]:
    """The settled database under its second name; the name goes again if the block fails."""
    try:
        files.link(paths.database, kept)  # no space, no time, and never overwrites
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        _copy_whole(paths, kept, lambda copy, _: files.copy(descriptor, copy))
    try:
        files.sync_folder(paths.folder)  # before the rename: the old rows must outlive a power cut
        yield kept
    except BaseException:
        if is_live(paths.database, descriptor):
            files.unlink(kept)
        raise


def keep_copy(paths: StorePaths, kept: Path, fill: Callable[[int, Path], None]) -> None:
    """
    Keep a durable copy of the live database, where the file itself can't be kept.

    :param kept: its name, which is free; it is there whole, or not at all.
    :param fill: writes and syncs the copy, given its descriptor and its path.
    :raises OSError: a step failed; there is no kept copy then.
    """
    _copy_whole(paths, kept, fill)
    try:
        files.sync_folder(paths.folder)
    except OSError:
        files.unlink(kept)
        raise


def _copy_whole(paths: StorePaths, destination: Path, fill: Callable[[int, Path], None]) -> None:
    """A durable copy, which appears whole and never overwrites."""
    _refuse_taken(destination)
    with temporary_file(paths, "keeping") as copy:
        fill(copy.descriptor, copy.path)
        files.copy_attributes(paths.database, copy.path)
        files.sync(copy.descriptor)
        files.replace(copy.path, destination)


def keep_raw(paths: StorePaths, kept: Path) -> Path | None:
    """
    Keep a database that SQLite can't read, as a folder of raw copies; its sidecars go.

    :param kept: the name of that folder, which is free.

    :returns: None if there was nothing to keep.
    :raises OSError: a step failed; what was there is there, or in the folder.
    """
    with ExitStack() as stack:
        return _keep_raw(paths, _open_all(paths, stack), kept)


def kept_copies(paths: StorePaths, receipts: list[Receipt]) -> list[Path]:
    """
    Every kept copy, the one that was made first first. Reads only.

    The order is that of the receipts: a clock may have been wrong. What no receipt names, such as
    the copy of a try that a kill interrupted, stands among them by the time in its name.
    """
    there = paths.pre_restores()
    named = {receipt.kept: None for receipt in receipts if receipt.outcome == "applied"}
    order = [paths.folder / name for name in named if name and paths.folder / name in there]
    for age, kept in enumerate(there):
        if kept not in order:
            younger = [place for place, other in enumerate(order) if there.index(other) > age]
            order.insert(min(younger, default=len(order)), kept)
    return order


@contextlib.contextmanager
def _kept_raw(paths: StorePaths, originals: dict[Path, int], name: Path) -> Iterator[Path | None]:
    """
    Keep a database that SQLite can't read, or what is left of a missing one, byte for byte.

    Copies and not links, since there are several files, and a crash must not take the set
    apart. Then its sidecars are unlinked: they would be replayed into the next database. If
    the block fails they are put back.
    """
    kept = _keep_raw(paths, originals, name)
    try:
        yield kept
    except BaseException:
        if kept is not None and files.exists(paths.pending):
            _put_back(paths, kept, [path for path in originals if path != paths.database])
        raise


def _keep_raw(paths: StorePaths, originals: dict[Path, int], name: Path) -> Path | None:
    kept = name if originals else None
    if kept is not None:
        _copy_set(paths, originals, kept)
    try:
        files.sync_folder(paths.folder)  # before the unlinks: the copies must outlive a power cut
        for sidecar in paths.sidecars:
            files.unlink(sidecar)
        files.sync_folder(paths.folder)
    except OSError:
        if kept is not None:
            _put_back(paths, kept, [path for path in originals if path != paths.database])
        raise
    return kept


def _copy_set(paths: StorePaths, originals: dict[Path, int], destination: Path) -> None:
    """A folder with durable copies of all, which appears whole and never overwrites."""
    _refuse_taken(destination)
    with temporary_folder(paths, "keeping") as folder:
        for path, original in originals.items():
            copy = files.create_private(folder.path / path.name, owner_of=folder.path)
            try:
                files.copy(original, copy)
            finally:
                os.close(copy)
        files.sync_folder(folder.path)
        files.replace(folder.path, destination)


def _put_back(paths: StorePaths, kept: Path, sidecars: list[Path]) -> None:
    for sidecar in sidecars:
        files.replace(kept / sidecar.name, sidecar)
    files.sync_folder(paths.folder)  # before the copies go: a power cut could undo the renames
    remove_folder(paths, kept)


def remove_folder(paths: StorePaths, kept: Path) -> None:
    """In one step under a name that a start sweeps: never half a kept copy."""
    temporary = paths.temporary("keeping")
    files.replace(kept, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def _refuse_taken(name: Path) -> None:
    """A rename would overwrite. Nobody else makes names here: this process is alone."""
    if files.exists(name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))
