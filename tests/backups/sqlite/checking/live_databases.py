"""Live databases with defects."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from backups.sqlite.checking.defects import Defects, find_defects
from tests.backups.stores import Store

Build = Callable[[Path], Path]


def live(store: Store, build: Build) -> bytes:
    """Let the live database be this one, and return its bytes."""
    build(store.database)
    return store.database.read_bytes()


def use_wal(store: Store) -> None:
    """So that its pages can be had."""
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def defects_of(path: Path) -> Defects:
    return find_defects(lambda: sqlite3.connect(path), functions="", seconds=30.0)
