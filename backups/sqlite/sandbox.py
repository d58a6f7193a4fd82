"""
What keeps a hostile database from doing more than being refused. For a separate process only:
most of it limits the whole process, and can't be undone.

- Its statements: an authorizer lets through the few that the checks are made of, and nothing
  that a trigger or a view brings along.
- Its files: once the database is open, no other can be opened, and none can grow beyond the
  length that the database has. No journal: a file that fails is thrown away.
- Its memory, its processor time, and the time by the clock.

Where the system lets nobody set limits on a process (a seccomp filter can forbid it), the limits
on statements and the time by the clock are what there is.

The schema's own expressions (CHECK, indexes, generated columns) do run. They can call what this
connection has, and it has no function that reads or writes anything. ``trusted_schema=OFF``
would add nothing to that, and SQLite 3.40 takes its own JSON functions, which Django's CHECKs
call, for unsafe then.

Sources: https://www.sqlite.org/security.html, https://www.sqlite.org/c3ref/c_limit_attached.html
"""

import importlib
import math
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backups import limits
from backups.sqlite.connection import connect

MEMORY_BYTES = 1024**3  # 1 GiB of address space: a check of a large store stays far below
LONGEST_VALUE = 1_000_000_000  # bytes; SQLite's own limit
COPIES_OF_A_VALUE = 4  # an index needs two of a row that long, an expression some more
NICENESS = 5  # of one core, a busy process gets three times as much as a check
SPARE_CPU_SECONDS = 5  # for the start of Python; the time by the clock ends before that
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine: some milliseconds

LONGEST_STATEMENT = 1_000_000  # bytes; SQLite's own default
# By number: pysqlite3 has neither names for them nor the call that sets them. What stands behind
# them stands there too: the authorizer, the memory, the time, a look at the schema's texts.
LIMITS = {
    7: 0,  # ATTACHED
    1: LONGEST_STATEMENT,  # SQL_LENGTH
    5: 5_000_000,  # VDBE_OP: a check of 10,000 tables needs a tenth
    3: 1_000,  # EXPR_DEPTH
    8: 1_000,  # LIKE_PATTERN_LENGTH
    10: 1,  # TRIGGER_DEPTH
    11: 0,  # WORKER_THREADS
}
PRAGMAS = (
    "journal_mode=OFF",
    "synchronous=OFF",  # the one who keeps the file syncs it
    "temp_store=MEMORY",
    "mmap_size=0",
    "cell_size_check=ON",
    "foreign_keys=OFF",  # a row that is removed takes no other along
    "secure_delete=ON",  # what is removed is gone from the bytes too
)
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_DELETE}
# From SQLite 3.44 on integrity_check looks into full-text and R-tree tables too, by statements of
# theirs. An R-tree prepares all that it could ever need, to write its own tables as well.
ALLOWED_PRAGMAS = {
    "integrity_check",
    "quick_check",
    "table_list",
    "foreign_key_check",
    "table_xinfo",
    "data_version",
    "page_size",
}
ALLOWED_FUNCTIONS = {"count", "length"}
R_TREE_TABLES = ("_node", "_rowid", "_parent")


class Sandbox:
    """One untrusted database, open for reading and writing, and what its own code tried to do."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        """
        Open it. Nothing of it is run or believed.

        :param seconds: after that much time by the clock every statement is interrupted.
        :raises sqlite3.Error: SQLite can't open it.
        """
        self.intruder = ""  # the trigger or view that wanted to act
        self._deadline = time.monotonic() + seconds
        self._functions: Callable[[sqlite3.Connection], None] = lambda _: None
        self.connection = connect(path, extended_codes=True)
        try:
            self.prepare(self.connection)
            for pragma in PRAGMAS:
                self.connection.execute(f"PRAGMA {pragma}").fetchall()
            self.connection.execute("PRAGMA cache_size=-2000")  # 2 MB, whatever the header asks for
        except sqlite3.Error:
            self.connection.close()
            raise
        self.connection.set_authorizer(self._authorize)
        self._files = _limit_files(_lowest_free_descriptor())

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._deadline

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set the limits, the deadline and the functions of this sandbox on a connection."""
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        if hasattr(connection, "setlimit"):
            for category, limit in LIMITS.items():
                connection.setlimit(category, limit)
        connection.set_progress_handler(lambda: self.is_late, STEPS_BETWEEN_LOOKS)
        self._functions(connection)

    def bring_functions(self, module: str) -> None:
        """Let the schema use the SQL functions that ``module.register(connection)`` gives."""
        no_files = _limit_files(self._files)
        self.connection.set_authorizer(None)
        try:
            self._functions = importlib.import_module(module).register
            self._functions(self.connection)
        finally:
            self.connection.set_authorizer(self._authorize)
            _limit_files(no_files)

    def close(self) -> None:
        """Close the database, which has no sidecars. Files can be opened again."""
        _limit_files(self._files)
        self.connection.close()

    def _authorize(
        self, action: int, one: str | None, two: str | None, _: str | None, within: str | None
    ) -> int:
        if within is not None:
            self.intruder = within
            return sqlite3.SQLITE_DENY
        is_allowed = (
            action in ALLOWED
            or (action == sqlite3.SQLITE_PRAGMA and one in ALLOWED_PRAGMAS)
            or (action == sqlite3.SQLITE_FUNCTION and two in ALLOWED_FUNCTIONS)
            or (action == sqlite3.SQLITE_INSERT and (one or "").endswith(R_TREE_TABLES))
        )
        return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def limit_process(*, file_bytes: int, seconds: float) -> None:
    """
    Limit what this process may use, for the rest of its life. Runs at low priority, so the
    site's requests come first.

    A lower hard limit that it was started with stays, and what the system refuses is left out.

    :param file_bytes: the length of the file that it works on, which none may exceed. A row can be
        as long as the file, so that is what its memory goes by.
    :param seconds: of processor time; a fence behind the clock, should nobody wait for us.
    """
    limits.be_nice(NICENESS)
    limits.lower(resource.RLIMIT_CORE, 0)
    limits.lower(resource.RLIMIT_FSIZE, file_bytes)
    limits.lower_processor_time(processor_seconds(seconds))
    if sys.platform == "linux":  # elsewhere the limit on address space is not kept
        rows = COPIES_OF_A_VALUE * min(file_bytes, LONGEST_VALUE)
        limits.lower(resource.RLIMIT_AS, limits.used_address_space() + MEMORY_BYTES + rows)


def processor_seconds(seconds: float) -> int:
    """How much processor time a check may take that may take so long by the clock."""
    return math.ceil(seconds) + SPARE_CPU_SECONDS


def _limit_files(most: int) -> int:
    """Let this process have so many open files, and return what the limit was."""
    with suppress(OSError, ValueError):  # Python has a ValueError for EPERM
        before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return before
    return most


def _lowest_free_descriptor() -> int:
    """With this as the limit, no file can be opened any more."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor
