"""
What keeps a hostile database from doing more than being refused. For a separate process only:
most of it limits the whole process, and can't be undone.

- Its statements: an authorizer lets through the few that the checks are made of, and nothing
  that a trigger or a view brings along.
- Its files: once the database is open, no other can be opened, and none can grow beyond the
  length that the database has. No journal: a file that fails is thrown away.
- Its memory, its processor time, and the time by the clock.
- Should a file make SQLite run code of its own all the same, then on Linux with Landlock: that
  code can open the file itself and what Python is made of, and not the live database, a key or
  any other; it can start no program, use no TCP and signal no process of the site.

Where the system lets nobody set limits on a process (a seccomp filter can forbid it), the limits
on statements and the time by the clock are what there is. Without Landlock this is a limit on
resources, and no fence around code: that has the rights of the site's user.

The schema's own expressions (CHECK, indexes, generated columns) do run. They can call what this
connection has, and it has no function that reads or writes anything. ``trusted_schema=OFF``
would add nothing to that, and SQLite 3.40 takes its own JSON functions, which Django's CHECKs
call, for unsafe then.

Sources: https://www.sqlite.org/security.html, https://www.sqlite.org/c3ref/c_limit_attached.html
"""

import importlib
import importlib.machinery
import math
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import backups
from backups.processes import limits, memory
from backups.sqlite.format.connection import connect

FIRST_TO_GO = 1000  # proc(5), oom_score_adj: if the machine has no memory left, this goes first
NICENESS = 5  # of one core, a busy process gets three times as much as a check
SPARE_CPU_SECONDS = 5  # for the start of Python; the time by the clock ends before that
SPARE_FILES = 16  # at once: the file itself, and what an import opens
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
# From Python 3.12 on. Off for the file's own triggers and views, whatever its schema is taken for.
SWITCHES = {
    "SQLITE_DBCONFIG_ENABLE_TRIGGER": False,
    "SQLITE_DBCONFIG_ENABLE_VIEW": False,
    "SQLITE_DBCONFIG_DEFENSIVE": True,
}
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
# What a module of Python's own library may be linked with, on the usual systems.
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")


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
            if set_config := getattr(self.connection, "setconfig", None):
                for switch, is_on in SWITCHES.items():
                    set_config(getattr(sqlite3, switch), is_on)
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
            with suppress(ImportError, OSError):  # then it is not known, which the schema shows
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


def limit_process(*, file_bytes: int, seconds: float, memory_bytes: int = memory.DEFAULT) -> None:
    """
    Limit what this process may use, for the rest of its life. Runs at low priority, so the
    site's requests come first.

    A lower hard limit that it was started with stays, and what the system refuses is left out.

    :param file_bytes: the length of the file that it works on, which none may exceed.
    :param seconds: of processor time; a fence behind the clock, should nobody wait for us.
    :param memory_bytes: of address space, beyond what it has now.

    With Landlock it also reaches no other process but its own children, and no TCP.
    """
    limits.be_nice(NICENESS)
    limits.lower(resource.RLIMIT_CORE, 0)
    limits.lower(resource.RLIMIT_FSIZE, file_bytes)
    limits.lower_processor_time(processor_seconds(seconds))
    if sys.platform == "linux":  # elsewhere the limit on address space is not kept
        limits.lower(resource.RLIMIT_AS, limits.used_address_space() + memory_bytes)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write(str(FIRST_TO_GO))  # and not a worker of the site
        with suppress(ImportError, OSError, MemoryError):  # a Python without ctypes
            from backups.processes import landlock

            landlock.give_up_privileges()
            landlock.give_up_others()


def confine(path: str, *, functions: str, with_site: bool) -> None:
    """
    Let this process have few open files for the rest of its life, and, where the system has
    Landlock, open only the one that it works on, and start no program.

    :param functions: the module that ``bring_functions`` may be asked for.
    :param with_site: code of the site is loaded, which may read what it wants to: this process
        knows the site's secrets already, and can't write to any other file all the same.
    """
    limits.lower(resource.RLIMIT_NOFILE, _lowest_free_descriptor() + SPARE_FILES)
    if sys.platform == "linux":
        with suppress(ImportError, OSError, MemoryError):
            from backups.processes import landlock

            readable = ["/"] if with_site else _own_files(functions)
            journal = f"{path}-journal"  # an old one, which SQLite looks at to see that it is old
            landlock.give_up_files(writable=[path], readable=[journal, *readable])


def _own_files(functions: str) -> Iterator[str]:
    """
    Python, this app and Django, of which modules are imported when they are wanted. Not the
    folders of the import path as such: the site's settings and its data may be in one of them.
    """
    yield os.path.dirname(os.__file__)
    yield os.path.dirname(backups.__file__)
    yield from LIBRARIES
    for prefix in (sys.prefix, sys.base_prefix):
        yield os.path.join(prefix, "lib")
        yield os.path.join(prefix, sys.platlibdir)
    package = functions.partition(".")[0]
    found = importlib.machinery.PathFinder.find_spec(package) if package else None
    if found and found.origin:
        is_package = found.submodule_search_locations is not None  # what it imports is beside it
        yield os.path.dirname(os.path.dirname(found.origin)) if is_package else found.origin


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
