"""Compare the migrations and the schema of a snapshot with those of the installed apps."""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from backups.conf import conf
from backups.exceptions import InconsistentHistoryError, RestoreBlockedError, UnknownSchemaError
from backups.site.migrate import migrate_file
from backups.site.migrations import SnapshotLoader, name_of, words_of
from backups.site.names import plural, some
from backups.site.origin import check_origin, refuse_newer
from backups.site.promises import check_promises
from backups.site.query_limit import query_limit
from backups.site.sessions import session_tables
from backups.sqlite.format.connection import database_file, has_content
from backups.sqlite.format.readable import is_readable
from backups.sqlite.format.schema import (
    QUERY,
    Columns,
    Program,
    fold,
    quote,
    read_columns,
    sort_out,
)
from backups.sqlite.site import Found, Live


class DjangoSite:
    """The migrations of the installed apps, for the database behind one alias."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def read_live(self) -> Live:
        """
        What the live database has. Reads it through Django's connection, but only if it is
        readable: connecting to a ruined one would destroy its -wal.

        It may have migrations whose files are gone from this release (they were squashed, or
        their app was removed), although the release is newer. The result is empty if the
        database can't be read, which may be why somebody restores.
        """
        connection = connections[self._alias]
        database = database_file(connection.settings_dict["NAME"])
        if not has_content(database):
            # Connecting would create it, or delete a -wal that is all that is left of it.
            return Live()
        try:
            if not is_readable(database):
                return Live()
            with query_limit():  # this may be the content that somebody wants to replace
                applied = _applied(connection)
                with connection.cursor() as cursor:
                    schema = sort_out(cursor.execute(QUERY))
                    relations = [each.name for each in schema.programs if each.is_relation]
                    tables = _columns(cursor, [*schema.tables, *relations])
        except (RestoreBlockedError, DatabaseError, sqlite3.Error):
            return Live()
        return Live(
            frozenset(map(name_of, applied)),
            frozenset(schema.programs),
            {table: frozenset(each.names) for table, each in tables.items()},
            {table: frozenset(each.generated) for table, each in tables.items()},
        )

    def data_version(self) -> tuple[object, int] | None:
        """PRAGMA data_version of Django's own connection. https://sqlite.org/pragma.html"""
        connection = connections[self._alias]
        try:
            if has_content(database_file(connection.settings_dict["NAME"])):
                with connection.cursor() as cursor:
                    (version,) = cursor.execute("PRAGMA data_version").fetchone()
                    return connection.connection, int(version)
        except (DatabaseError, sqlite3.Error):
            pass
        return None

    # Where it comes from

    def check_origin(self, found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
        """As ``origin.check_origin``, which has the errors."""
        return check_origin(found, live, accept=accept)

    def unknown(self, applied: Collection[str]) -> tuple[str, ...]:
        """Those of these migrations that the installed apps lack. Reads no database."""
        return tuple(map(name_of, SnapshotLoader(applied).unknown()))

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError if one is neither installed nor historic. Reads no database."""
        known = frozenset(historic)  # a snapshot can have a hundred thousand
        refuse_newer([name for name in self.unknown(applied) if name not in known])

    # What is in it

    def check_tables(self, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
        """As ``promises.check_promises``, which has the errors."""
        check_promises(self._alias, found, live, judged=judged)

    def check_programs(
        self, found: Collection[Program], live: Live, *, applied: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """
        Refuse what the live database lacks, unless BACKUPS_ALLOW_UNKNOWN_SCHEMA is on. If the live
        database can't be read, return a warning instead.

        If the snapshot needs migrations (``applied`` has those that it does not need), these may
        be going to change a view that the live database has with other SQL, or anything whose SQL
        is in a migration of this site. Such programs are returned: the migrations must change them.

        :raises UnknownSchemaError: the message names the trigger, view or virtual table.
        """
        unknown = [each for each in sorted(found) if each not in (live.programs or ())]
        if not unknown or conf.allow_unknown_schema:
            return (), ()
        names = list(map(str, unknown))
        if live.programs is None:
            return (
                f"The snapshot has the {some(names)}. It is not known whether this site's own"
                " database has the same: it is missing, or can't be read.",
            ), ()
        changing = self._are_to_change(unknown, live, applied)
        if strange := [str(each) for each in sorted(set(unknown).difference(changing))]:
            raise UnknownSchemaError(
                f"The snapshot has the {some(strange)}, which this site's database does not have."
            )
        return (), tuple(changing)

    def _are_to_change(
        self, programs: Collection[Program], live: Live, applied: Collection[str]
    ) -> list[Program]:
        loader = SnapshotLoader(applied)
        if not loader.plan():
            return []
        views = {fold(each.name) for each in live.programs or () if each.kind == "view"}
        statements = loader.statements()
        return [
            each
            for each in programs
            if (each.kind == "view" and fold(each.name) in views)
            or each.kind == "clause"  # Django writes one for DB_CASCADE (6.1), and changes it
            or words_of(each.sql) in statements
        ]

    def recognise(self, tables: Mapping[str, Collection[str]]) -> str:
        """Call BACKUPS_RECOGNISER, if there is one. Reads no database."""
        if not conf.recogniser:
            return ""
        return str(import_string(conf.recogniser)(tables))

    def session_tables(self) -> tuple[str, ...]:
        """As ``sessions.session_tables``; none if BACKUPS_CLEAR_SESSIONS is off."""
        return session_tables() if conf.clear_sessions else ()

    def account_column(self) -> tuple[str, str]:
        """The user model's table, and the column of its USERNAME_FIELD. Reads no database."""
        model = get_user_model()
        field: Any = model._meta.get_field(model.USERNAME_FIELD)
        return field.model._meta.db_table, str(field.column)

    def functions(self) -> str:
        """Where Django registers its SQL functions, which an index or a CHECK may use."""
        return "django.db.backends.sqlite3._functions"

    def connection_setup(self) -> tuple[str, ...]:
        """The module that finds out what the site registers on connections, and its arguments."""
        return "backups.site.connection_setup", self._alias, conf.connection_setup

    def disconnect(self) -> None:
        """Close every connection: two aliases may have the same file."""
        connections.close_all()

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """
        What ``migrate`` would run on a database that has these. Reads no database.

        :raises InconsistentHistoryError: it would refuse to run any.
        """
        loader = SnapshotLoader(applied)
        plan = loader.plan()
        refuses = f"The snapshot needs {len(plan)} migration{plural(plan)}, and Django refuses to"
        if plan and (broken := loader.broken_order()):
            raise InconsistentHistoryError(
                f"{refuses} run any on it: {broken[0]} is applied in it before {broken[1]}, which"
                " it depends on."
            )
        if plan and (conflicts := loader.detect_conflicts()):
            app, names = next(iter(sorted(conflicts.items())))
            raise InconsistentHistoryError(
                f"{refuses} run any with this release: the app {app} has more than one last"
                f" migration ({some(sorted(names))}).",
                hint="Nothing was staged. Merge them first: manage.py makemigrations --merge",
            )
        return plan

    def migrate(self, database: Path) -> None:
        """As ``migrate.migrate_file``, which has the limits and the errors."""
        migrate_file(self._alias, database)


def _applied(connection: Any) -> Collection[tuple[str, str]]:
    """The applied migrations, without their dates: Django can't read every form of these."""
    recorder = MigrationRecorder(connection)
    return list(recorder.migration_qs.values_list("app", "name")) if recorder.has_table() else []


def _columns(cursor: Any, names: Collection[str]) -> Mapping[str, Columns]:
    """The columns of each table and view, by its folded name."""
    found = {}
    for name in names:
        if "\0" in name:  # no statement can name it
            continue
        try:
            rows = cursor.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
        except DatabaseError:  # a virtual table without its module, a view of a missing table
            rows = []
        found[fold(name)] = read_columns(rows)
    return found
