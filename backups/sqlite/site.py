"""What the store must know of the site that uses it. Django's answer: site/django_site.py."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backups.sqlite.format.schema import Program


@dataclass(frozen=True)
class Live:
    """What the live database has; nothing of it is known if it can't be read."""

    migrations: frozenset[str] = frozenset()  # whether or not this release still knows them
    programs: frozenset[Program] | None = None  # None if that is not known
    # The columns of whatever can be read like a table, a view too. All names are folded.
    tables: Mapping[str, Collection[str]] | None = field(default=None, compare=False)
    # Of those the generated ones: GENERATED ALWAYS AS (…).
    generated: Mapping[str, Collection[str]] = field(default_factory=dict, compare=False)

    @property
    def is_known(self) -> bool:
        """Whether the live database could be read."""
        return self.programs is not None


@dataclass(frozen=True)
class Found:
    """What a snapshot has."""

    migrations: Collection[str]  # ``app.name`` of each that was applied
    tables: Mapping[str, Collection[str]]  # of each real table its columns; names are folded
    programs: Collection[Program] = ()  # its triggers, views and virtual tables
    generated: Mapping[str, Collection[str]] = field(default_factory=dict)  # of each its columns


class Site(Protocol):
    """The migrations of the installed code. A migration is called ``app.name``."""

    def read_live(self) -> Live:
        """Read the live database, without touching one that is ruined or missing."""

    def check_origin(self, found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
        """
        Raise ForeignDatabaseError if it is not of this site, unless that is accepted, and
        NewerSnapshotError if a newer release made it. Returns warnings of what this release does
        not have any more.
        """

    def unknown(self, applied: Collection[str]) -> tuple[str, ...]:
        """Of these, the migrations that the installed code does not have."""

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError if any is known neither to this release nor in ``historic``."""

    def check_tables(self, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
        """
        Raise MissingTablesError if its migrations promise a table, or a column of one, that is
        not there, and UnknownSchemaError if a column is generated that the model stores, or the
        other way round; unless the live database breaks the same promise. What the migrations of
        ``judged`` promise is not looked at again.
        """

    def check_programs(
        self, found: Collection[Program], live: Live, *, applied: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """
        Raise UnknownSchemaError if the live database does not have all of these. Returns
        warnings, and those that the migrations still to run have to change or remove.
        """

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """
        Say what a whole database is that is not one of this site, and what to do with it; empty
        if that is not known. ``tables`` as above.
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
        that needs more than ``functions()``, whose ``knows(name)`` says whether that is in it, and
        whose ``register(connection)`` gives it; then those words. Empty if there is none.
        """

    def disconnect(self) -> None:
        """
        Close the site's own connections, which its code may have opened since: a migration can
        query while it is imported.
        """

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """
        Those that are still to run on a database that has these, in order.

        :raises InvalidSnapshotError: they can't be run on it.
        """

    def migrate(self, database: Path) -> None:
        """
        Run them on a database file; raises RestoreRefusedError if one fails, and
        MigrationStoppedError if they take more time or memory than they may.
        """
