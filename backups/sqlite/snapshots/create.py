"""
A snapshot of a live database, in one of two ways.

    compact  ``VACUUM INTO``: rewritten without gaps, without the remains of deleted rows and
             without login sessions, in a separate file that is whole before the first byte is
             handed out
    pages    the database's own pages, read while they are handed out: at once, at the speed of the
             disk, without using space. Login sessions are in them, if they are in the database

If the pages can't be taken safely, a compact one is taken. In WAL mode no writer waits. In
another mode writers wait while the copy is completed, and the log says for how long.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from backups.disk import files
from backups.exceptions import SnapshotFailedError
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import has_content
from backups.sqlite.snapshots.compact import CompactSnapshot, create_compact_snapshot
from backups.sqlite.snapshots.pages import (
    PageSnapshot,
    PagesNotPossibleError,
    create_page_snapshot,
)
from backups.sqlite.snapshots.pinned import Pinning
from backups.store import Snapshot

LONG_WAIT = 1.0  # seconds that writers had to wait; worth a warning
RULES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)  # as VACUUM fails of old defects

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotLimits:
    """What a snapshot may take."""

    compact_up_to: int  # bytes of a database that is sent compact unless pages are asked for
    at_once: int  # snapshots under way, over all processes
    spool_seconds: float  # how long a reader may keep the WAL from being reset
    stall_seconds: float  # how long a reader may take nothing before it is dropped
    resume_seconds: float  # how long the rest of a compact one may be asked for; 0: not at all


def create_snapshot(
    paths: StorePaths,
    connect: Callable[[], sqlite3.Connection],
    *,
    compact: bool | None,
    limits: SnapshotLimits,
    presence: int | None,
    caller: str | None = None,
    clear: Collection[str] = (),
    floor: int = 0,
) -> Snapshot:
    """
    Copy the database as it is between two commits; in WAL mode writers go on.

    :param connect: opens a separate connection to the live database.
    :param compact: which of the two ways; None for what suits the database's size.
    :param presence: the descriptor that holds this process's presence.
    :param caller: who may ask for the rest of a compact one later; None for nobody.
    :param clear: the tables of login sessions, whose rows a compact one leaves out.
    :param floor: how many bytes of the disk are left to the site.
    :raises NotEnoughSpaceError: a compact one has no room on the disk.
    :raises SnapshotFailedError: there is no database, or SQLite can't read it.
    :raises StoreFolderError: the folder can't be written.
    """
    if not has_content(paths.database):
        raise SnapshotFailedError(f"There is no database at {paths.database}, or it is empty.")
    take_pages = partial(
        create_page_snapshot,
        paths,
        spool_after=limits.spool_seconds,
        stall_seconds=limits.stall_seconds,
        presence=presence,
        floor=floor,
    )
    if compact is None:
        compact = _suits_compact(paths, limits)
    snapshot: CompactSnapshot | PageSnapshot | None = None
    if not compact:
        snapshot = _create_page_snapshot(take_pages)
    if snapshot is None:
        pinning = None
        if caller is not None and limits.resume_seconds > 0:
            pinning = Pinning(caller, limits.resume_seconds, limits.at_once, floor)
        take_compact = partial(
            create_compact_snapshot,
            paths,
            connect,
            clear=clear,
            presence=presence,
            pinning=pinning,
            floor=floor,
        )
        snapshot = _compact_if_possible(take_compact, take_pages) if compact else take_compact()
    if snapshot.locked_seconds >= LONG_WAIT:
        logger.warning(
            "writers had to wait for up to %.1f s while a snapshot of %s was taken: it is not in"
            " WAL mode. manage.py check --database ALIAS says how to switch it on",
            snapshot.locked_seconds,
            paths.database,
        )
    return snapshot


def _create_page_snapshot(take: Callable[[], PageSnapshot]) -> PageSnapshot | None:
    try:
        return take()
    except PagesNotPossibleError as reason:
        logger.info("a compact snapshot is taken instead of the pages: %s", reason)
    return None


def _compact_if_possible(
    take_compact: Callable[[], CompactSnapshot], take_pages: Callable[[], PageSnapshot]
) -> CompactSnapshot | PageSnapshot:
    """A compact one; the pages if rows that break a rule of the schema can't be rewritten."""
    try:
        return take_compact()
    except SnapshotFailedError as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in RULES:
            with suppress(PagesNotPossibleError):
                snapshot = take_pages()
                logger.warning("the pages are taken instead of a compact snapshot: %s", error)
                return snapshot
        raise


def _suits_compact(paths: StorePaths, limits: SnapshotLimits) -> bool:
    """Small, and in a folder that this user may write: the pages can be had without that."""
    return _live_bytes(paths) <= limits.compact_up_to and os.access(paths.folder, os.W_OK)


def _live_bytes(paths: StorePaths) -> int:
    """The database with what waits in its WAL. Asks for the lengths only: nothing is opened."""
    wal = paths.sidecars[0]
    return paths.database.stat().st_size + (wal.stat().st_size if files.exists(wal) else 0)
