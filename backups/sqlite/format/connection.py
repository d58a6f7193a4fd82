"""How this app opens SQLite databases that are not Django's own connection."""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from backups.exceptions import BackupNotSupportedError

# Python's sqlite3 always asks for extended result codes; pysqlite3 needs this flag.
# https://www.sqlite.org/c3ref/c_open_autoproxy.html: READWRITE, CREATE, URI, EXRESCODE
EXTENDED_CODES = 0x2 | 0x4 | 0x40 | 0x02000000
HAS_FLAGS = hasattr(sqlite3, "SQLITE_OPEN_URI")


def database_file(name: str | Path) -> Path:
    """
    The path in a ``NAME`` setting: a path, or a URI such as ``file:/srv/tasks.db?cache=private``.

    :raises BackupNotSupportedError: if the database lives in memory.
    Source: https://www.sqlite.org/uri.html
    """
    text = str(name)
    if not isinstance(name, Path) and (
        text in ("", ":memory:") or text.startswith("file::memory:") or "mode=memory" in text
    ):
        raise BackupNotSupportedError(
            "The database lives in memory: there is no file to take a snapshot of or to restore."
        )
    if text.startswith("file:"):
        return Path(os.fsdecode(unquote_to_bytes(os.fsencode(urlsplit(text).path))))
    return Path(text)


def has_content(path: Path) -> bool:
    """Whether the file exists and is not empty. To SQLite a missing file is an empty one."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def connect(
    path: Path, *, mode: str = "rw", timeout: float = 5.0, extended_codes: bool = False
) -> sqlite3.Connection:
    """
    Open an existing database; never creates one. The caller begins and ends transactions.

    :param mode: ``rw``, ``ro``, or ``immutable`` (read-only, without locks and sidecars).
    :param timeout: seconds to wait for another connection's lock.
    :param extended_codes: make an error's ``sqlite_errorcode`` exact. pysqlite3 then raises plain
        DatabaseError for each error with an extended code.
    :raises sqlite3.OperationalError: if the file is missing or can't be opened.
    """
    options: dict[str, Any] = {"uri": True, "timeout": timeout, "isolation_level": None}
    if extended_codes and HAS_FLAGS:
        options["flags"] = EXTENDED_CODES
    connection: sqlite3.Connection = sqlite3.connect(uri(path, mode=mode), **options)
    return connection


def uri(path: Path, *, mode: str = "rw") -> str:
    """The URI that opens an existing database in this mode, as ``connect`` does."""
    query = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    return f"file:{quote(os.fsencode(path))}?{query}"


def name_in_sql(path: Path) -> str:
    """An existing file's name as a value in a statement: a URI if the name is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return uri(path)
    return str(path)
