"""
The few things in these tests that are not real: a release without Django, and failure itself.

Failure comes at a step: a call of a function of ``backups.disk.files``, or of ``execute`` on a
SQLite connection. Steps are counted from 1, so a loop over all of them ends when a run meets no
failure.
"""

import contextlib
import errno
import functools
import os
import signal
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from backups.disk import files
from backups.exceptions import (
    MissingTablesError,
    NewerSnapshotError,
    RestoreRefusedError,
    UnknownSchemaError,
)
from backups.sqlite.format.schema import Program
from backups.sqlite.site import Found, Live
from tests.backups import builders

DURABLE_STEPS = (
    "create_private",
    "create_private_folder",
    "write_all",
    "sync",
    "sync_file",
    "sync_folder",
    "replace",
    "link",
    "unlink",
    "copy",
    "copy_attributes",
)
TAKES_SPACE = ("create_private", "create_private_folder", "write_all", "link", "copy")


@dataclass
class FakeSite:
    """A release that knows the migrations of ``builders``, and migrates by SQL."""

    live: frozenset[str] = frozenset()
    programs: frozenset[Program] | None = None
    sessions: tuple[str, ...] = ("sessions",)
    migrated: list[Path] = field(default_factory=list)
    fails: bool = False

    def read_live(self) -> Live:
        """What a test says that the live database has."""
        return Live(self.live, self.programs)

    def data_version(self) -> tuple[object, int] | None:
        """It is not known."""
        return None

    def check_origin(self, found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
        """Every app is installed here, and one is the project's own."""
        self.check_known(found.migrations, live.migrations)
        return ()

    def unknown(self, applied: Collection[str]) -> tuple[str, ...]:
        """As the real one does."""
        return tuple(name for name in applied if name not in builders.MIGRATIONS)

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """As the real one does."""
        if unknown := set(applied) - set(builders.MIGRATIONS) - set(historic):
            raise NewerSnapshotError(f"unknown: {sorted(unknown)}")

    def check_tables(self, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
        """As the real one does, of tables only."""
        promised = {"owners", "items"} if "shop.0001_initial" in found.migrations else set()
        if "shop.0002_prices" in found.migrations:
            promised.add("prices")
        if missing := promised - set(found.tables):
            raise MissingTablesError(f"missing: {sorted(missing)}")

    def check_programs(
        self, found: Collection[Program], live: Live, *, applied: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """As the real one does; a view of the name ``changing`` is what a migration changes."""
        unknown = set(found) - (live.programs or set())
        changing = tuple(each for each in unknown if each.name == "changing")
        if unknown.difference(changing) and live.programs is not None:
            raise UnknownSchemaError(f"unknown: {sorted(unknown)}")
        return (
            f"not known: {len(unknown)}",
        ) if unknown and live.programs is None else (), changing

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """One that has the table ``fruit``."""
        return "It is full of fruit." if "fruit" in tables else ""

    def session_tables(self) -> tuple[str, ...]:
        """One of its own."""
        return self.sessions

    def account_column(self) -> tuple[str, str]:
        """Owners may log in."""
        return "owners", "name"

    def functions(self) -> str:
        """None of its own."""
        return ""

    def connection_setup(self) -> tuple[str, ...]:
        """Nothing but what SQLite has."""
        return ()

    def disconnect(self) -> None:
        """There are none."""

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """What is missing."""
        return tuple(name for name in builders.MIGRATIONS if name not in applied)

    def migrate(self, database: Path) -> None:
        """Add what the newest migration adds, in this process."""
        self.migrated.append(database)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # as the site's own settings do
            if self.fails:
                connection.execute("INSERT INTO items (name) VALUES ('half a migration')")
                connection.commit()
                raise RestoreRefusedError("The snapshot's migrations failed: they were told to.")
            builders.add_prices(connection)
            connection.commit()


Fail = Callable[[str], None]


def die(step: str) -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse_with(code: int) -> Fail:
    """A failure of the system: an OSError, or what SQLite makes of one."""

    def fail(step: str) -> None:
        if step == "execute":
            raise sqlite3.OperationalError(os.strerror(code))
        raise OSError(code, os.strerror(code))

    return fail


@dataclass
class Steps:
    """Count the steps, and fail at one of them: before it is done, or after."""

    fail: Fail
    at: int  # 0 for never
    after: bool = False
    from_then_on: bool = False  # as a full disk does: whatever takes space fails
    count: int = 0
    failed: list[str] = field(default_factory=list)

    def wrap(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step, counted."""

        @functools.wraps(step)
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            number = self.count
            if not self.after:
                self._fail_at(number, name)
            try:
                return step(*arguments, **options)
            finally:
                if self.after:
                    self._fail_at(number, name)

        return counted

    def _fail_at(self, number: int, name: str) -> None:
        if number == self.at or (
            self.from_then_on and self.at and number > self.at and name in TAKES_SPACE
        ):
            self.failed.append(name)
            self.fail(name)


@contextlib.contextmanager
def counted(steps: Steps) -> Iterator[Steps]:
    """Let every durable step and every SQLite statement of the block be counted."""
    with contextlib.ExitStack() as stack:
        for name in DURABLE_STEPS:
            wrapped = steps.wrap(name, getattr(files, name))
            stack.enter_context(mock.patch.object(files, name, wrapped))
        connection = type(
            "CountedConnection",
            (sqlite3.Connection,),
            {"execute": steps.wrap("execute", sqlite3.Connection.execute)},
        )
        connect = functools.partial(sqlite3.connect, factory=connection)
        stack.enter_context(mock.patch("backups.sqlite.format.connection.sqlite3.connect", connect))
        yield steps


@contextlib.contextmanager
def without_hard_links() -> Iterator[None]:
    """A file system that has none, such as vfat."""

    def link(source: Path, destination: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with mock.patch.object(files, "link", link):
        yield


@contextlib.contextmanager
def mount_point() -> Iterator[None]:
    """The database is a mount point of its own: it can't be linked, nor renamed over."""
    real = files.replace

    def replace(source: Path, destination: Path) -> None:
        if destination.name == "tasks.db":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(destination))
        real(source, destination)

    def link(source: Path, destination: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(destination))

    with mock.patch.object(files, "replace", replace), mock.patch.object(files, "link", link):
        yield
