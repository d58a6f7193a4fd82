"""What the store must know of the site that uses it. Django's answer: site/postgres_site.py."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

from backups.postgres.dumps.dump import Dump
from backups.sqlite.site import Live
from backups.sqlite.site import Site as SqliteSite
from backups.store import Tell


class Moved(Protocol):
    """The result of a move from SQLite."""

    @property
    def rows(self) -> Mapping[str, int]:
        """The rows of each table by its name."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the person who restores."""


class MoveOptions(TypedDict):
    """What ``Site.move`` takes, by name."""

    applied: Collection[str]  # ``app.name`` of each migration that the snapshot has
    watch: Callable[[], None] | None  # called now and then; an error that it raises ends the move
    tell: Tell


class Site(SqliteSite, Protocol):
    """What a SQLite store asks of the site too, and what only this store asks."""

    def check_dump(self, found: Dump, live: Live) -> tuple[str, ...]:
        """
        Compare a dump's programs with those of the live database. Raises UnknownSchemaError if that
        lacks one. Returns warnings.
        """

    def migrate_database(self, name: str) -> None:
        """
        Run the missing migrations on a database of this name on the live one's server. Raises
        RestoreRefusedError if one fails, and MigrationStoppedError if they exceed their limits.
        """

    def move(self, source: Path, name: str, **options: Unpack[MoveOptions]) -> Moved:
        """
        Fill an empty database of this name with all that a checked SQLite snapshot has. Raises
        UnfitRowsError, with all that PostgreSQL can't hold.
        """
