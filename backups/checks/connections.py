"""
How a site's connections, or the place of its database, can put rows at risk.

These checks run at every ``check``, ``runserver`` and ``migrate``, and not only with
``--database``: those who need the warning seldom use that option. They ask the database on a
separate connection, which is closed at once, so that no process has one open when it forks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from backups.conf import conf
from backups.disk.file_system import is_container_layer, is_on_network, kind_of
from backups.site import local_store, sqlite_site
from backups.which_sqlite import has_wal_reset_bug

PRAGMAS = ("busy_timeout", "synchronous", "mmap_size", "journal_mode")
OPTION = "In DATABASES[{alias!r}], set: {option}"
LEAST_SECONDS = 5.0  # Python's own default; a large commit on a slow disk takes as long
DEFAULT_MODE = "delete"  # of a new database
WRITE_LOCK_MODES = ("IMMEDIATE", "EXCLUSIVE")  # these take the write lock when they begin


@dataclass(frozen=True)
class Setup:
    """How the site's connections to one database are set up, as far as that is known."""

    alias: str
    folder: Path
    is_there: bool
    options: dict[str, Any]
    told: dict[str, str]  # the values of pragmas

    @classmethod
    def of(cls, alias: str, folder: Path) -> "Setup":
        """Ask a connection. What it can't tell is taken from the settings."""
        database: dict[str, Any] = settings.DATABASES[alias]
        options = database.get("OPTIONS") or {}
        told = _written(str(options.get("init_command") or "")) | sqlite_site.ask(alias, PRAGMAS)
        return cls(alias, folder, local_store.has_database(alias), options, told)

    @property
    def journal_mode(self) -> str:
        """Empty if it is not known."""
        return self.told.get("journal_mode", "" if self.is_there else DEFAULT_MODE)

    @property
    def timeout(self) -> float | None:
        """Seconds to wait for another writer."""
        if milliseconds := self.told.get("busy_timeout"):
            return float(milliseconds) / 1000
        given = self.options.get("timeout", LEAST_SECONDS)
        return float(given) if isinstance(given, int | float) else None


def check_connections(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """
    Check each SQLite database in a file. Changes nothing, and creates no database.

    :param databases: those whose journal mode W030 reports: ``check --database``.
    """
    return [
        message
        for alias in dict.fromkeys((conf.database, *local_store.other_aliases()))
        if (paths := sqlite_site.paths(alias)) is not None
        for message in _messages(alias, paths.folder, is_told=alias in (databases or ()))
    ]


def _messages(alias: str, folder: Path, *, is_told: bool) -> Iterator[CheckMessage]:
    setup = Setup.of(alias, folder)
    yield from _wal_reset_bug(setup)
    if not is_told:
        yield from _rollback_journal(setup)
    yield from _transactions(setup)
    yield from _pragmas(setup)
    yield from _place(setup)


def _wal_reset_bug(setup: Setup) -> Iterator[CheckMessage]:
    version = sqlite_site.sqlite_version(setup.alias)
    if setup.journal_mode in ("wal", "") and has_wal_reset_bug(version):
        number = ".".join(map(str, version))
        yield CheckWarning(
            f"SQLite {number}, which this site runs on, has the WAL-reset bug: where several"
            f" processes or threads write to the database {setup.alias!r} in WAL mode, a commit can"
            " be lost, and the database damaged.",
            hint="Use a Python, or an image, with SQLite 3.51.3 or newer (or 3.50.7, 3.44.6):\n"
            "    python -c 'import sqlite3; print(sqlite3.sqlite_version)'\n"
            "Or: pip install pysqlite3, and let the settings begin with\n"
            "    from backups.which_sqlite import use_pysqlite3\n"
            "    use_pysqlite3()\n"
            "Until then serve the site with one process that has one thread.",
            id="backups.W070",
        )


def _rollback_journal(setup: Setup) -> Iterator[CheckMessage]:
    is_meant = setup.is_there or "journal_mode" in setup.told
    if not is_meant or setup.journal_mode in ("wal", ""):
        return
    if is_on_network(setup.folder):
        return  # where WAL mode does not work
    yield CheckWarning(
        f"The database {setup.alias!r} is not in WAL mode, but in journal mode"
        f" {setup.journal_mode}: readers and writers wait for each other, and a write that"
        " waits longer than its timeout fails, e.g. while a snapshot is completed.",
        hint=f"To see how to switch WAL mode on: manage.py check --database {setup.alias}",
        id="backups.W071",
    )


def _transactions(setup: Setup) -> Iterator[CheckMessage]:
    method = "_start_transaction_under_autocommit"
    own = getattr(type(connections[setup.alias]), method, None)
    is_changed = own is not getattr(DatabaseWrapper, method, None)  # by the project's own backend
    if is_changed or str(setup.options.get("transaction_mode")).upper() in WRITE_LOCK_MODES:
        return
    immediate = '"OPTIONS": {"transaction_mode": "IMMEDIATE"}'
    option = OPTION.format(alias=setup.alias, option=immediate)
    yield CheckWarning(
        f"The transactions on the database {setup.alias!r} do not begin as IMMEDIATE: one that"
        " reads, then writes, fails at once with 'database is locked' if another has written"
        " in between, whatever its timeout.",
        hint=option if django.VERSION >= (5, 1) else f"Upgrade to Django 5.1 or newer. {option}",
        id="backups.W072",
    )


def _pragmas(setup: Setup) -> Iterator[CheckMessage]:
    if setup.told.get("synchronous") in ("0", "off"):
        yield CheckWarning(
            f"The connections to the database {setup.alias!r} are set to synchronous=OFF: a power"
            " cut can damage the whole database, not only lose its last commits.",
            hint="Remove PRAGMA synchronous=OFF. In WAL mode synchronous=NORMAL is fast, and safe.",
            id="backups.W073",
        )
    if setup.timeout is not None and setup.timeout < LEAST_SECONDS:
        yield CheckWarning(
            f"The connections to the database {setup.alias!r} wait {setup.timeout:g} s for another"
            " writer: under load, or while a restore goes live, writes fail with 'database is"
            " locked'.",
            hint=OPTION.format(alias=setup.alias, option='"OPTIONS": {"timeout": 30}'),
            id="backups.W074",
        )
    if setup.told.get("mmap_size", "0") not in ("0", ""):
        yield CheckWarning(
            f"The connections to the database {setup.alias!r} are set to"
            f" mmap_size={setup.told['mmap_size']}: a disk error then ends the process (SIGBUS)"
            " instead of the query, and a stray write of any library into memory goes into the"
            " database.",
            hint="Remove PRAGMA mmap_size.",
            id="backups.W075",
        )


def _place(setup: Setup) -> Iterator[CheckMessage]:
    if is_on_network(setup.folder):
        yield CheckWarning(
            f"The database {setup.alias!r} is on a network file system ({kind_of(setup.folder)}:"
            f" {setup.folder}): if locks do not hold there, two processes that write damage it,"
            " and WAL mode does not work across machines.",
            hint="Put it on a disk of the machine that the site runs on; keep snapshots elsewhere.",
            id="backups.W076",
        )
    if setup.is_there and is_container_layer(setup.folder):
        yield CheckWarning(
            f"The database {setup.alias!r} is in a container's own layer ({setup.folder}): it is"
            " gone when the container is removed, e.g. at the next deployment.",
            hint=f"Mount a volume at {setup.folder}, the whole folder and not the file alone:"
            " SQLite and this app keep files beside the database.",
            id="backups.W077",
        )


def _written(command: str) -> dict[str, str]:
    """The pragmas of an ``init_command``. If one is set twice, the last value counts."""
    pattern = r"\bPRAGMA\s+(?:\w+\.)?(\w+)\s*[=(]\s*['\"]?(\w+)"
    return {name.lower(): value.lower() for name, value in re.findall(pattern, command, re.I)}
