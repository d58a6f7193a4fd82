"""
Which SQLite this process uses: the standard library's, or a newer one instead.

``sys.modules["sqlite3"]`` decides, so the choice must come before anything imports sqlite3: two
libraries in one process drop each other's locks on a database that both have open.
Children use the same module as their parent (processes/spawn.py).

Sources: https://www.sqlite.org/wal.html#walresetbug,
https://www.sqlite.org/howtocorrupt.html#multiple_copies_of_sqlite_linked_into_the_same_application
"""

import importlib
import logging
import sys

FIRST_WITH_BUG, FIRST_WITHOUT = (3, 7, 0), (3, 51, 3)
MENDED = {(3, 44): 6, (3, 50): 7}  # by branch, the first patch release without it

logger = logging.getLogger(__name__)


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can lose commits of a WAL database that several connections write to."""
    if not FIRST_WITH_BUG <= version < FIRST_WITHOUT:
        return False
    mended = MENDED.get((version[0], version[1]))
    return mended is None or version[2] < mended


def use_pysqlite3() -> None:
    """
    Let ``import sqlite3`` give pysqlite3, if Python's own SQLite has the WAL-reset bug and
    pysqlite3's does not. Call it before anything imports sqlite3. Does nothing if pysqlite3 is not
    installed or has the bug too. A second call does nothing.
    """
    if not has_wal_reset_bug(_own_version()):
        return
    try:
        newer = importlib.import_module("pysqlite3")
    except ImportError:
        return
    if has_wal_reset_bug(newer.sqlite_version_info):
        return
    used = sys.modules.get("sqlite3")
    if used is None:
        sys.modules["sqlite3"] = newer
        sys.modules["sqlite3.dbapi2"] = newer.dbapi2
    elif has_wal_reset_bug(used.sqlite_version_info):
        logger.warning(
            "pysqlite3 can't take the place of sqlite3, which is imported already: this process"
            " stays on SQLite %s, which has the WAL-reset bug. Call use_pysqlite3() earlier.",
            used.sqlite_version,
        )


def module_name() -> str:
    """The name of the module that ``import sqlite3`` gives in this process, for its children."""
    return importlib.import_module("sqlite3").__name__


def _own_version() -> tuple[int, ...]:
    """The version of Python's own SQLite, without importing sqlite3 itself."""
    try:
        version: str = importlib.import_module("_sqlite3").sqlite_version
    except ImportError:  # Python was built without it
        return FIRST_WITH_BUG
    return tuple(map(int, version.split(".")))
