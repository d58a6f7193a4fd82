"""
A snapshot of a live database, in one of two ways.

    compact  ``VACUUM INTO``: rewritten without gaps, remains of deleted rows or login sessions,
             into a separate file that is complete before the first byte is sent
    pages    the database's own pages, read while they are sent: sending starts at once, runs at
             the speed of the disk and needs no space. Login sessions are included

If the pages can't be taken safely, a compact snapshot is taken. In WAL mode no writer waits. In
other modes writers wait while the copy is completed, and the log says for how long.
"""

import logging
import math
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

LONG_WAIT = 1.0  # seconds; if writers had to wait longer, the log warns
RULES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)  # VACUUM's errors for broken rules

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotLimits:
    """How large, how many and how slow snapshots may be."""

    compact_up_to: int  # bytes; a larger database is sent as pages, unless compact is requested
    at_once: int  # snapshots being sent, in all processes together
    spool_seconds: float  # how long a slow client may keep the WAL from being reset
    stall_seconds: float  # a client that reads nothing for so long is disconnected
    resume_seconds: float  # how long a broken compact download can be continued; 0: not at all


def create_snapshot(
    paths: StorePaths,
    connect: Callable[[], sqlite3.Connection],
    *,
    compact: bool | None,
    limits: SnapshotLimits,
    presence: int | None,
    caller: str | None = None,
    to_store: bool = False,
    clear: Collection[str] = (),
    floor: int = 0,
) -> Snapshot:
    """
    Copy the database as it is between two commits; in WAL mode writers continue.

    :param connect: opens a separate connection to the live database.
    :param compact: which of the two ways; None for what suits the database's size.
    :param presence: the descriptor that holds this process's presence.
    :param caller: who may continue a broken compact download; None for nobody.
    :param to_store: count what is in it, and spool the rest only once the WAL has grown much.
    :param clear: the tables of login sessions, whose rows a compact snapshot leaves out.
    :param floor: how many free bytes of the disk are reserved for the site.
    :raises NotEnoughSpaceError: the disk has no room for a compact snapshot.
    :raises SnapshotFailedError: there is no database, or SQLite can't read it.
    :raises StoreFolderError: the folder can't be written.
    """
    if not has_content(paths.database):
        raise SnapshotFailedError(f"There is no database at {paths.database}, or it is empty.")
    take_pages = partial(
        create_page_snapshot,
        paths,
        spool_after=math.inf if to_store else limits.spool_seconds,
        count=to_store,
        stall_seconds=limits.stall_seconds,
        presence=presence,
        floor=floor,
    )
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
        count=to_store,
    )
    if _suits_compact(paths, limits) if compact is None else compact:
        snapshot = _compact_if_possible(take_compact, take_pages)
    else:
        snapshot = _pages_if_possible(take_pages, take_compact)
    if snapshot.locked_seconds >= LONG_WAIT:
        logger.warning(
            "writers had to wait for up to %.1f s while a snapshot of %s was taken: it is not in"
            " WAL mode. manage.py check --database ALIAS says how to switch it on",
            snapshot.locked_seconds,
            paths.database,
        )
    return snapshot


def _pages_if_possible(
    take_pages: Callable[[], PageSnapshot], take_compact: Callable[[], CompactSnapshot]
) -> CompactSnapshot | PageSnapshot:
    try:
        return take_pages()
    except PagesNotPossibleError as reason:
        logger.info("a compact snapshot is taken instead of the pages: %s", reason)
    return take_compact()


def _compact_if_possible(
    take_compact: Callable[[], CompactSnapshot], take_pages: Callable[[], PageSnapshot]
) -> CompactSnapshot | PageSnapshot:
    """SQLite can't rewrite rows that break a rule of the schema; the pages include them as is."""
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
    """Whether it is small, with its WAL, and the folder is writable. Opens no file."""
    wal = paths.sidecars[0]
    size = paths.database.stat().st_size + (wal.stat().st_size if files.exists(wal) else 0)
    return size <= limits.compact_up_to and os.access(paths.folder, os.W_OK)
