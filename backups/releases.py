"""What this release of the site knows of its migrations, compared with a snapshot's."""

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connections
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from backups.exceptions import (
    InvalidSnapshotError,
    MissingTablesError,
    NewerSnapshotError,
    RestoreBlockedError,
)
from backups.migrate import migrate_file
from backups.sqlite.connection import database_file, has_content
from backups.sqlite.live import is_readable

Key = tuple[str, str]  # app label, migration name
MOST_NAMED = 5  # an error names so many; a snapshot can have hundreds


class InstalledRelease:
    """The migrations of the installed apps, for the database behind one alias."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def historic(self) -> frozenset[str]:
        """
        What the live database has applied. Reads it through Django's connection, once it is
        known to be readable: to connect to a ruined one would be the end of its -wal.

        A release may have dropped the files of such migrations (after squashing them, or with
        an app that was taken out), and is newer than they are all the same. Nothing is known
        if the database can't tell, which may be why somebody restores.
        """
        connection = connections[self._alias]
        database = database_file(connection.settings_dict["NAME"])
        if not has_content(database):
            # To connect would create it, or delete a -wal that is all that is left of it.
            return frozenset()
        try:
            if not is_readable(database):
                return frozenset()
            applied = MigrationRecorder(connection).applied_migrations()
        except (RestoreBlockedError, DatabaseError, sqlite3.Error):
            return frozenset()
        return frozenset(map(_name, applied))

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError, naming them, if the snapshot has others. Reads no database."""
        known = _known(_SnapshotLoader(applied)) | set(historic)
        if unknown := [name for name in applied if name not in known]:
            raise NewerSnapshotError(
                "The snapshot was made by a newer release: this one does not know the"
                f" migration{_plural(unknown)} {_some(unknown)}."
            )

    def check_tables(self, applied: Collection[str], tables: Collection[str]) -> None:
        """Raise MissingTablesError, naming them, if the snapshot lacks some. Reads no database."""
        promised = _promised_tables(_SnapshotLoader(applied))
        if missing := sorted(promised - set(tables)):
            raise MissingTablesError(
                "The snapshot is not whole: its migrations promise the"
                f" table{_plural(missing)} {_some(missing)}, which it does not have."
            )

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """What ``migrate`` would run on a database that has these. Reads no database."""
        loader = _SnapshotLoader(applied)
        plan: dict[Key, None] = {}
        for target in loader.graph.leaf_nodes():
            for key in loader.graph.forwards_plan(target):
                if key not in loader.applied_migrations:
                    plan[key] = None
        return tuple(map(_name, plan))

    def migrate(self, database: Path) -> None:
        """
        Bring a database file to this release, in a child process. However long that takes.

        :raises RestoreRefusedError: a migration failed; the file is to be thrown away.
        """
        migrate_file(self._alias, database)


class _SnapshotLoader(MigrationLoader):
    """
    Django's loader, for a database that is known only by the migrations it says it has.

    ``build_graph`` asks a connection what was applied, and takes nothing as applied without
    one; here it is told, so that squashed migrations resolve as they would on that database.
    """

    def __init__(self, applied: Iterable[str]) -> None:
        self._applied: dict[Key, Any] = {_key(name): None for name in applied}
        super().__init__(None, ignore_no_migrations=True)

    def build_graph(self) -> None:
        """
        :raises InvalidSnapshotError: the snapshot has a part of what a squashed migration
            replaces, and the files of the other part are gone.
        """
        try:
            super().build_graph()
        except NodeNotFoundError as error:
            raise InvalidSnapshotError(
                f"This release can't bring the snapshot's migrations forward: {error}"
            ) from error

    @property
    def applied_migrations(self) -> dict[Key, Any]:
        return self._applied

    @applied_migrations.setter
    def applied_migrations(self, _: object) -> None:
        """What the loader assumes without a connection is not wanted."""


def _known(loader: MigrationLoader) -> set[str]:
    known = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known.update(migration.replaces)
    return set(map(_name, known))


def _promised_tables(loader: _SnapshotLoader) -> set[str]:
    """The tables of every installed model, as they were when the snapshot's last migration ran."""
    nodes = [key for key in loader.graph.nodes if key in loader.applied_migrations]
    state = loader.project_state(nodes)
    return {
        model._meta.db_table
        for model in state.apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


def _key(name: str) -> Key:
    app, _, migration = name.partition(".")
    return app, migration


def _name(key: Key) -> str:
    return ".".join(key)


def _plural(names: Collection[str]) -> str:
    return "s" if len(names) > 1 else ""


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
