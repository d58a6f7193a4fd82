"""What the store must know of the site that uses it. Django's answer: site/django_site.py."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backups.sqlite.format.schema import Program


@dataclass(frozen=True)
class Live:
    """What the live database has; empty if it can't be read."""

    migrations: frozenset[str] = frozenset()  # also those that this release does not know any more
    programs: frozenset[Program] | None = None  # None if not known
    # The columns of each table and view. All names are folded.
    tables: Mapping[str, Collection[str]] | None = field(default=None, compare=False)
    # The generated ones among them: GENERATED ALWAYS AS (…).
    generated: Mapping[str, Collection[str]] = field(default_factory=dict, compare=False)

    @property
    def is_known(self) -> bool:
        """Whether the live database could be read."""
        return self.programs is not None


@dataclass(frozen=True)
class Found:
    """What a snapshot has."""

    migrations: Collection[str]  # ``app.name`` of each that was applied
    tables: Mapping[str, Collection[str]]  # the columns of each real table; names are folded
    programs: Collection[Program] = ()  # its triggers, views and virtual tables
    generated: Mapping[str, Collection[str]] = field(default_factory=dict)  # columns, per table


class Site(Protocol):
    """The migrations of the installed code. A migration is called ``app.name``."""

    def read_live(self) -> Live:
        """Read the live database, without touching one that is ruined or missing."""

    def data_version(self) -> tuple[object, int] | None:
        """
        This thread's connection, and a number that changes with each commit of others to the live
        database, as that connection sees it; None if it is not known.
        """

    def check_origin(self, found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
        """
        Raise ForeignDatabaseError if it is another project's, unless that is accepted, and
        NewerSnapshotError if a newer release made it. Returns warnings about what this release
        does not have any more.
        """

    def unknown(self, applied: Collection[str]) -> tuple[str, ...]:
        """Those of these migrations that the installed code does not have."""

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError if any is known neither to this release nor in ``historic``."""

    def check_tables(self, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
        """
        Raise MissingTablesError if a table or column is missing that its migrations create, and
        UnknownSchemaError if a column is generated that the model stores, or the other way round;
        unless the live database has the same fault. Skips the migrations in ``judged``.
        """

    def check_programs(
        self, found: Collection[Program], live: Live, *, applied: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """
        Raise UnknownSchemaError if the live database does not have all of these. Returns
        warnings, and those that the migrations still to run have to change or remove.
        """

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """What a database of these tables is if not this site's, and what to do; may be empty."""

    def session_tables(self) -> tuple[str, ...]:
        """The tables of login sessions, which a restore must empty; referring tables first."""

    def account_column(self) -> tuple[str, str]:
        """The table of accounts, and its column with the account names."""

    def functions(self) -> str:
        """The module whose ``register(connection)`` adds the schema's SQL functions; or empty."""

    def connection_setup(self) -> tuple[str, ...]:
        """
        For a schema that needs more than ``functions()``: a module, and the words for its
        ``load(*words)``, which loads what this site's connections have. Then ``knows(name)`` says
        whether a function is among that, and ``register(connection)`` adds it. Or empty.
        """

    def disconnect(self) -> None:
        """Close this thread's connections; a migration can open one while it is imported."""

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """
        The migrations still to run on a database that has these, in order.

        :raises InvalidSnapshotError: they can't be run on it.
        """

    def migrate(self, database: Path) -> None:
        """
        Run the missing migrations on a database file. Raises RestoreRefusedError if one fails, and
        MigrationStoppedError if they exceed their time or memory limit.
        """
