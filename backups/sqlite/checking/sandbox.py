"""
The limits under which a hostile database is checked. For a separate process only: most of them
hold for the whole process, and can't be undone.

- Statements: an authorizer allows the few that the checks need, and nothing that a trigger or a
  view adds to them.
- Files: once the database is open, no other file can be opened, and none can grow beyond the
  database's length. There is no journal: a file that fails is deleted.
- Memory, processor time, and time by the clock.
- Code, in case a file makes SQLite run some: on Linux with Landlock, that code can open only this
  file and the files of Python, this app and Django, but not the live database, a key or any other.
  It can't start a program, use TCP, or signal a process of the site.

Where the system forbids limits on a process, as a seccomp filter can, only those on statements and
on time by the clock remain. Without Landlock, code would have the rights of the site's user.

The schema's expressions (CHECK, indexes, generated columns) do run. They can call any function of
this connection, but none of these reads or writes anything. ``trusted_schema=OFF`` would add
nothing, and makes SQLite 3.40 refuse its own JSON functions, which Django's CHECKs call.

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

FIRST_TO_GO = 1000  # proc(5), oom_score_adj: when memory runs out, the kernel kills this first
NICENESS = 5  # on a shared core, a busy process of the site gets three times as much as a check
SPARE_CPU_SECONDS = 5  # for the start of Python; the limit by the clock ends a check before this
SPARE_FILES = 16  # at once: the file itself, and what an import opens
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine: some milliseconds
CACHE_BYTES = 2 * 1024**2  # SQLite's default; the file's header can ask for more

LONGEST_STATEMENT = 1_000_000  # bytes; SQLite's default
# By number: pysqlite3 has no names for them. It can't set them either: then the authorizer, the
# limits on memory and time, and the check of the schema's statements must do.
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
    "synchronous=OFF",  # the caller syncs the file
    "temp_store=MEMORY",
    "mmap_size=0",
    "cell_size_check=ON",
    "foreign_keys=OFF",  # so that removing a row removes no other
    "secure_delete=ON",  # so that removed rows are overwritten
)
# Python 3.12 and later: turns the file's triggers and views off, even those that no check found.
SWITCHES = {
    "SQLITE_DBCONFIG_ENABLE_TRIGGER": False,
    "SQLITE_DBCONFIG_ENABLE_VIEW": False,
    "SQLITE_DBCONFIG_DEFENSIVE": True,
}
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_DELETE}
CHECKS = {"integrity_check", "quick_check", "foreign_key_check"}
# Since SQLite 3.44 integrity_check also runs statements of full-text and R-tree tables, which need
# the last two. An R-tree prepares all its statements, also those that write to its own tables.
ALLOWED_PRAGMAS = CHECKS | {
    *("table_list", "table_xinfo", "index_list", "index_xinfo"),
    *("data_version", "page_count", "page_size"),
}
DENIED_FUNCTIONS = {"load_extension"}  # an index may call any other
R_TREE_TABLES = ("_node", "_rowid", "_parent")
# Where modules of Python's standard library find shared libraries, on the usual systems.
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")


class Sandbox:
    """An untrusted database, open for reading and writing."""

    def __init__(self, path: Path, *, seconds: float, cache_bytes: int = CACHE_BYTES) -> None:
        """
        Open it, without running anything in it.

        :param seconds: time by the clock until every statement is interrupted.
        :param cache_bytes: how much of the file SQLite keeps in memory.
        :raises sqlite3.Error: SQLite can't open it.
        """
        self.intruder = ""  # a trigger or view that tried to run a statement
        self._deadline = time.monotonic() + seconds
        self._functions: Callable[[sqlite3.Connection], None] = lambda _: None
        self.connection = connect(path, extended_codes=True)
        try:
            self.prepare(self.connection)
            for pragma in (*PRAGMAS, f"cache_size=-{cache_bytes // 1024}"):
                self.connection.execute(f"PRAGMA {pragma}").fetchall()
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
        """Let the schema use the SQL functions that ``module.register(connection)`` adds."""
        no_files = _limit_files(self._files)
        self.connection.set_authorizer(None)
        try:
            with suppress(ImportError, OSError):  # then the schema's functions stay unknown
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
            or (action == sqlite3.SQLITE_FUNCTION and two not in DENIED_FUNCTIONS)
            or (action == sqlite3.SQLITE_INSERT and (one or "").endswith(R_TREE_TABLES))
        )
        return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def limit_process(*, file_bytes: int, seconds: float, memory_bytes: int = memory.DEFAULT) -> None:
    """
    Limit what this process may use, for the rest of its life. Runs at low priority, so the
    site's requests come first.

    A lower hard limit that it was started with stays, and what the system refuses is left out.

    :param file_bytes: the length of the database; no file may exceed it.
    :param seconds: time by the clock. The processor time follows from it, in case the parent that
        watches the clock is gone.
    :param memory_bytes: of address space, beyond what the process has now.
    """
    limits.be_nice(NICENESS)
    limits.lower(resource.RLIMIT_CORE, 0)
    limits.lower(resource.RLIMIT_FSIZE, file_bytes)
    limits.lower_processor_time(processor_seconds(seconds))
    if sys.platform == "linux":  # elsewhere the limit on address space is not kept
        limits.lower(resource.RLIMIT_AS, limits.used_address_space() + memory_bytes)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write(str(FIRST_TO_GO))  # rather than a worker of the site
        with suppress(ImportError, OSError, MemoryError):  # a Python without ctypes
            from backups.processes import landlock

            landlock.give_up_privileges()
            landlock.give_up_others()


def confine(path: str, *, functions: str, with_site: bool) -> None:
    """
    Limit the open files of this process for good. With Landlock it can also open only the
    database, and start no program.

    :param functions: the module that ``bring_functions`` may load.
    :param with_site: the site's code is loaded and may read any file, since this process knows the
        site's secrets already. It still can't write to another file.
    """
    limits.lower(resource.RLIMIT_NOFILE, _lowest_free_descriptor() + SPARE_FILES)
    if sys.platform == "linux":
        with suppress(ImportError, OSError, MemoryError):
            from backups.processes import landlock

            readable = ["/"] if with_site else _own_files(functions)
            journal = f"{path}-journal"  # SQLite must read one to see that it is old
            landlock.give_up_files(writable=[path], readable=[journal, *readable])


def _own_files(functions: str) -> Iterator[str]:
    """
    Python, this app and Django, whose modules are imported when needed. The import path as a whole
    is not included, since the site's settings and data may be there.
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
        is_package = found.submodule_search_locations is not None  # its imports are beside it
        yield os.path.dirname(os.path.dirname(found.origin)) if is_package else found.origin


def processor_seconds(seconds: float) -> int:
    """The limit on processor time for a check with this limit by the clock."""
    return math.ceil(seconds) + SPARE_CPU_SECONDS


def _limit_files(most: int) -> int:
    """Set the limit on open files, and return what it was."""
    with suppress(OSError, ValueError):  # Python raises a ValueError for EPERM
        before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return before
    return most


def _lowest_free_descriptor() -> int:
    """With this as the limit, no more files can be opened."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor
