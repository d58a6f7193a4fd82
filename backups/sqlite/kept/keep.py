"""
The kept copy: the database that was live before a restore, under its pre-restore name.

Where the file system has hard links, it is the old file itself under a second name: that takes no
space and no time, and the live name is never missing. Both names exist only while the database is
settled and locked, since two names for one open database can corrupt it.

Source: https://www.sqlite.org/howtocorrupt.html#_multiple_links_to_the_same_file
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.folder.temporary import temporary_file
from backups.sqlite.format.connection import has_content
from backups.sqlite.format.readable import has_database
from backups.sqlite.kept.raw_copies import kept_raw, open_all, refuse_taken
from backups.sqlite.kept.settle import is_live, settled
from backups.store import Receipt


def free_name(paths: StorePaths, moment: datetime) -> Path:
    """A free pre-restore name, which sorts after all others of that second. Writes nothing."""
    first = paths.pre_restore(moment).name
    taken = [kept for kept in paths.pre_restores() if kept.name.startswith(first)]
    return paths.pre_restore(moment, 1 + max(map(paths.attempt_of, taken), default=0))


def has_something(paths: StorePaths) -> bool:
    """Whether there is a database to keep, or what is left of one."""
    return any(map(has_content, (paths.database, *paths.sidecars)))


@contextlib.contextmanager
def retired(paths: StorePaths, kept: Path) -> Iterator[Path | None]:
    """
    Keep the live database under the name ``kept``, a free one; in the block it may be replaced.

    Yields the kept copy: the file itself under a second name, where the file system has links;
    a folder of full copies if SQLite can't read it; None if there was nothing to keep. If the
    block fails, the kept name is removed and the database is as it was before.

    :raises RestoreBlockedError: another program has the database open.
    :raises OSError: a step failed; the live database stays.
    """
    with ExitStack() as stack:
        yield _retire(paths, kept, stack)


def _retire(paths: StorePaths, kept: Path, stack: ExitStack) -> Path | None:
    originals = open_all(paths, stack)
    if has_database(paths.database):
        descriptor = stack.enter_context(settled(paths))
        if descriptor is not None:
            return stack.enter_context(_kept(paths, descriptor, kept))
    return stack.enter_context(kept_raw(paths, originals, kept))


@contextlib.contextmanager
def _kept(paths: StorePaths, descriptor: int, kept: Path) -> Iterator[Path]:
    """The settled database under its second name, which is removed if the block fails."""
    try:
        # Invariant 2 of apply_at_start.py; takes no space and no time, and never overwrites.
        files.link(paths.database, kept)
    except OSError as error:
        if error.errno not in files.NO_LINKS:
            raise
        _copy_whole(paths, kept, lambda copy, _: files.copy(descriptor, copy))
    try:
        files.sync_folder(paths.folder)  # before the rename, so that no power cut takes it
        yield kept
    except BaseException:
        if is_live(paths.database, descriptor):
            files.unlink(kept)
        raise


def keep_copy(paths: StorePaths, kept: Path, fill: Callable[[int, Path], None]) -> None:
    """
    Keep a durable copy of the live database, where the file itself can't be kept.

    :param kept: its name, which is free; the copy appears whole, or not at all.
    :param fill: writes and syncs the copy, given its descriptor and its path.
    :raises OSError: a step failed; there is no kept copy.
    """
    _copy_whole(paths, kept, fill)
    try:
        files.sync_folder(paths.folder)
    except OSError:
        files.unlink(kept)
        raise


def _copy_whole(paths: StorePaths, destination: Path, fill: Callable[[int, Path], None]) -> None:
    """A durable copy, which appears whole and never overwrites."""
    refuse_taken(destination)
    with temporary_file(paths, "keeping") as copy:
        fill(copy.descriptor, copy.path)
        files.copy_attributes(paths.database, copy.path)
        files.sync(copy.descriptor)
        files.replace(copy.path, destination)


def kept_copies(paths: StorePaths, receipts: list[Receipt]) -> list[Path]:
    """
    Every kept copy, in the order of the receipts, since a clock may have been wrong. A copy without
    a receipt, e.g. of a try that was killed, is placed by the time in its name. Reads only.
    """
    there = paths.pre_restores()
    named = {receipt.kept: None for receipt in receipts if receipt.outcome == "applied"}
    order = [paths.folder / name for name in named if name and paths.folder / name in there]
    for age, kept in enumerate(there):
        if kept not in order:
            younger = [place for place, other in enumerate(order) if there.index(other) > age]
            order.insert(min(younger, default=len(order)), kept)
    return order
