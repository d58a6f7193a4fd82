"""
SQLite's own checks of a file, in a process of their own: ``python -m backups.sqlite.integrity``.

The file is not trusted. A page that makes SQLite crash, loop or eat memory ends this child,
not a worker of the site. Prints one JSON object, the verdict; its caller trusts nothing else,
since an exit code can be lost to a parent that reaps every child.

Opened read-only and immutable: no lock, no sidecar, not one byte changed.

Sources: https://www.sqlite.org/security.html (defence against hostile files),
https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

import json
import re
import resource
import sqlite3
import sys
from pathlib import Path
from typing import Any

from backups.sqlite.connection import connect

MEMORY_BYTES = 1024**3  # 1 GiB of address space: a check of a large store stays far below
REFUSED_BY_SYSTEM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
MOST_FINDINGS = 5  # enough to tell what is wrong; a ruined file has millions


def inspect(path: Path) -> dict[str, Any]:
    """
    Check a database, and tell what is in it.

    :returns: ``damage`` and ``broken_references`` (lists of sentences, empty when whole),
        ``tables`` (names), ``migrations`` (``app.name`` of each row, or None without the table).
    :raises sqlite3.Error: if SQLite can't read the file at all.
    """
    connection = connect(path, mode="immutable")
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        _distrust(connection)
        tables = _tables(connection)
        return {
            "damage": _damage(connection),
            "broken_references": _broken_references(connection),
            "tables": tables,
            "migrations": _migrations(connection) if "django_migrations" in tables else None,
        }
    finally:
        connection.close()


def _distrust(connection: sqlite3.Connection) -> None:
    for pragma in (
        "trusted_schema=OFF",  # no function or virtual table from the file's own schema
        "cell_size_check=ON",
        "query_only=ON",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]


def _damage(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({MOST_FINDINGS})").fetchall()
    return [] if rows == [("ok",)] else [str(finding) for (finding,) in rows]


def _is_of_the_disk(finding: str) -> bool:
    """Whether a page could not be read, which says nothing of what is in it."""
    codes = re.findall(r"unable to get the page. error code=(\d+)", finding)
    return any(int(code) & 0xFF in REFUSED_BY_SYSTEM for code in codes)


def _broken_references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(MOST_FINDINGS)
    return [
        f"row {rowid} of {table} refers to a row of {parent} that is not there"
        for table, rowid, parent, _ in rows
    ]


def _migrations(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
    return [f"{app}.{name}" for app, name in rows]


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a check writes nothing
    if sys.platform == "linux":  # elsewhere the limit on address space is not kept
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main(path: str) -> None:
    """Print the verdict on ``path`` as one JSON object."""
    _limit_resources()
    try:
        verdict = inspect(Path(path))
        if any(map(_is_of_the_disk, verdict["damage"])):
            verdict = {"unread": "disk I/O error"}
    except (sqlite3.Error, MemoryError) as error:
        verdict = {"damage": [f"SQLite can't read it: {error or 'out of memory'}"]}
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in REFUSED_BY_SYSTEM:
            verdict = {"unread": str(error)}
    sys.stdout.write(json.dumps(verdict))


if __name__ == "__main__":
    main(sys.argv[1])
