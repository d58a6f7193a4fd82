"""What the store must know of the code that uses it. Django's answer: backups/releases.py."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol


class Release(Protocol):
    """The migrations of the installed code. A migration is called ``app.name``."""

    def historic(self) -> frozenset[str]:
        """Those that the live database has, whether or not this release still knows them."""

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError if any is known neither to this release nor in ``historic``."""

    def check_tables(self, applied: Collection[str], tables: Collection[str]) -> None:
        """Raise MissingTablesError if these migrations promise a table that is not there."""

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """Those that are still to run on a database that has these, in order."""

    def migrate(self, database: Path) -> None:
        """Run them on a database file; raises RestoreRefusedError if one fails."""
