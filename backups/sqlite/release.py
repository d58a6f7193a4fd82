"""What the store must know of the code that uses it. Django's answer: backups/releases.py."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backups.sqlite.schema import Program


@dataclass(frozen=True)
class Live:
    """What the live database has; nothing of it is known if it can't be read."""

    migrations: frozenset[str] = frozenset()  # whether or not this release still knows them
    programs: frozenset[Program] | None = None  # None if that can't be told


class Release(Protocol):
    """The migrations of the installed code. A migration is called ``app.name``."""

    def read_live(self) -> Live:
        """Read the live database, without touching one that is ruined or missing."""

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError if any is known neither to this release nor in ``historic``."""

    def check_tables(self, applied: Collection[str], tables: Mapping[str, Collection[str]]) -> None:
        """
        Raise MissingTablesError if these migrations promise a table, or a column of one, that is
        not there. ``tables`` has the columns of each real table; all names are folded.
        """

    def check_programs(self, found: Collection[Program], live: Live) -> tuple[str, ...]:
        """
        Raise UnknownSchemaError if the live database has not all of these. Returns a warning if
        that can't be told.
        """

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """
        Say what a whole database is that is not one of this site, and what to do with it; empty
        if that can't be told. ``tables`` as above.
        """

    def session_tables(self) -> tuple[str, ...]:
        """The tables of login sessions, which a restore must not revive; those that refer first."""

    def account_column(self) -> tuple[str, str]:
        """The table of accounts, and its column with their names."""

    def functions(self) -> str:
        """
        The module whose ``register(connection)`` gives the SQL functions that the schema of this
        site may use; empty if there is none.
        """

    def connection_setup(self) -> tuple[str, ...]:
        """
        A module whose ``load(*words)`` loads what the connections of this site have, for a schema
        that needs more than ``functions()``, and whose ``register(connection)`` gives it; then
        those words. Empty if there is none.
        """

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """Those that are still to run on a database that has these, in order."""

    def migrate(self, database: Path) -> None:
        """Run them on a database file; raises RestoreRefusedError if one fails."""
