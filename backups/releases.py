"""What this release of the site knows of its migrations, compared with a snapshot's."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connections, router
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import CASCADE, Model
from django.utils.module_loading import import_string

from backups.conf import conf
from backups.exceptions import (
    InvalidSnapshotError,
    MissingTablesError,
    NewerSnapshotError,
    RestoreBlockedError,
    UnknownSchemaError,
)
from backups.migrate import migrate_file
from backups.sqlite.connection import database_file, has_content
from backups.sqlite.live import is_readable
from backups.sqlite.release import Live
from backups.sqlite.schema import QUERY, Program, fold, sort_out

Key = tuple[str, str]  # app label, migration name
MOST_NAMED = 5  # an error names so many; a snapshot can have hundreds
MOST_LETTERS = 100  # of a name


class InstalledRelease:
    """The migrations of the installed apps, for the database behind one alias."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def read_live(self) -> Live:
        """
        What the live database has. Reads it through Django's connection, once it is known to
        be readable: to connect to a ruined one would be the end of its -wal.

        A release may have dropped the files of migrations (after squashing them, or with an
        app that was taken out), and is newer than they are all the same. Nothing is known if
        the database can't tell, which may be why somebody restores.
        """
        connection = connections[self._alias]
        database = database_file(connection.settings_dict["NAME"])
        if not has_content(database):
            # To connect would create it, or delete a -wal that is all that is left of it.
            return Live()
        try:
            if not is_readable(database):
                return Live()
            applied = MigrationRecorder(connection).applied_migrations()
            with connection.cursor() as cursor:
                schema = sort_out(cursor.execute(QUERY))
        except (RestoreBlockedError, DatabaseError, sqlite3.Error):
            return Live()
        return Live(frozenset(map(_name, applied)), frozenset(schema.programs))

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError, naming them, if the snapshot has others. Reads no database."""
        known = _known(_SnapshotLoader(applied)) | set(historic)
        if unknown := [name for name in applied if name not in known]:
            raise NewerSnapshotError(
                "The snapshot was made by a newer release: this one does not know the"
                f" migration{_plural(unknown)} {_some(unknown)}."
            )

    def check_tables(self, applied: Collection[str], tables: Mapping[str, Collection[str]]) -> None:
        """
        Raise MissingTablesError, naming them, if the snapshot lacks tables or columns. Reads no
        database. A column counts as there if the table has it under any case, as SQLite sees it.
        """
        promised = self._promised_tables(_SnapshotLoader(applied))
        if missing := sorted(name for name in promised if fold(name) not in tables):
            raise MissingTablesError(
                "The snapshot is not whole: its migrations promise the"
                f" table{_plural(missing)} {_some(missing)}, which it does not have."
            )
        for name, columns in sorted(promised.items()):
            there = tables[fold(name)]
            if lacking := [column for column in columns if fold(column) not in there]:
                raise MissingTablesError(
                    f"The snapshot is not whole: its table {name} lacks the"
                    f" column{_plural(lacking)} {_some(lacking)}."
                )

    def check_programs(self, found: Collection[Program], live: Live) -> tuple[str, ...]:
        """
        Refuse what the live database does not have too, unless BACKUPS_ALLOW_UNKNOWN_SCHEMA says
        otherwise. Returns a warning instead if the live database can't tell.

        :raises UnknownSchemaError: naming the trigger, view or virtual table.
        """
        unknown = [str(each) for each in sorted(found) if each not in (live.programs or ())]
        if not unknown or conf.allow_unknown_schema:
            return ()
        if live.programs is None:
            return (
                f"The snapshot has the {_some(unknown)}. Whether this site's own database has"
                " the same could not be told: it can't be read.",
            )
        raise UnknownSchemaError(
            f"The snapshot has the {_some(unknown)}, which this site's database does not have."
        )

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """Ask BACKUPS_RECOGNISER, if there is one. Reads no database."""
        if not conf.recogniser:
            return ""
        return str(import_string(conf.recogniser)(tables))

    def session_tables(self) -> tuple[str, ...]:
        """
        The tables of the database-backed SESSION_ENGINE; none if BACKUPS_CLEAR_SESSIONS is off.

        What refers to a session and would be deleted with it comes first: without its session
        such a row would be a broken reference. Reads no database.
        """
        if not conf.clear_sessions or (model := _session_model()) is None:
            return ()
        models = [model]
        for each in models:  # grows meanwhile
            models += [
                relation.related_model
                for relation in each._meta.related_objects
                if relation.on_delete is CASCADE
                and not relation.field.null
                and relation.related_model not in models
            ]
        return tuple(each._meta.db_table for each in reversed(models))

    def account_column(self) -> tuple[str, str]:
        """The user model's table, and the column of its USERNAME_FIELD. Reads no database."""
        model = get_user_model()
        field: Any = model._meta.get_field(model.USERNAME_FIELD)
        return field.model._meta.db_table, str(field.column)

    def functions(self) -> str:
        """Where Django registers its SQL functions, which an index or a CHECK may use."""
        return "django.db.backends.sqlite3._functions"

    def connection_setup(self) -> tuple[str, ...]:
        """Where what BACKUPS_CONNECTION_SETUP or the site's receivers register is found out."""
        return "backups.connection_setup", self._alias, conf.connection_setup

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

    def _promised_tables(self, loader: "_SnapshotLoader") -> dict[str, list[str]]:
        """
        The table of every installed model, with its columns, as they were when the snapshot's
        last migration ran; but for models that a router keeps in another database.
        """
        nodes = [key for key in loader.graph.nodes if key in loader.applied_migrations]
        state = loader.project_state(nodes)
        connection = connections[self._alias]
        return {
            model._meta.db_table: [
                str(field.column)
                for field in model._meta.local_concrete_fields
                if field.db_parameters(connection)["type"] is not None
            ]
            for model in state.apps.get_models(include_auto_created=True)
            if model._meta.managed
            and not model._meta.proxy
            and router.allow_migrate_model(self._alias, model)
        }


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


def _session_model() -> type[Model] | None:
    """The model of the login sessions, if they are in a database and their app is installed."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):
        return None
    try:
        model: type[Model] = store.get_model_class()
    except RuntimeError:  # its app is not in INSTALLED_APPS
        return None
    return model


def _key(name: str) -> Key:
    app, _, migration = name.partition(".")
    return app, migration


def _name(key: Key) -> str:
    return ".".join(key)


def _plural(names: Collection[str]) -> str:
    return "s" if len(names) > 1 else ""


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(map(_clip, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _clip(name: str) -> str:
    """A name that can be shown: a hostile snapshot's may be long, or many lines."""
    line = " ".join(name.split())
    return line if len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + "…"
