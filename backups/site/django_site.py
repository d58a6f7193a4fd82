"""What this release of the site knows of its migrations, compared with a snapshot's."""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from backups.conf import conf
from backups.exceptions import (
    ForeignDatabaseError,
    InconsistentHistoryError,
    MissingTablesError,
    NewerSnapshotError,
    RestoreBlockedError,
    UnknownSchemaError,
)
from backups.site.migrate import migrate_file
from backups.site.migrations import SnapshotLoader, key_of, name_of, own_apps, words_of
from backups.site.promises import Promises, made_elsewhere, promised_generated, promised_tables
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
from backups.store import FOREIGN

MOST_NAMED = 5  # an error names so many; a snapshot can have hundreds
MOST_LETTERS = 100  # of a name


class DjangoSite:
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
            with query_limit():  # it may be what somebody wants to get rid of
                applied = _applied(connection)
                with connection.cursor() as cursor:
                    schema = sort_out(cursor.execute(QUERY))
                    tables = _columns(
                        cursor,
                        [
                            *schema.tables,
                            *(each.name for each in schema.programs if each.is_relation),
                        ],
                    )
        except (RestoreBlockedError, DatabaseError, sqlite3.Error):
            return Live()
        return Live(
            frozenset(map(name_of, applied)),
            frozenset(schema.programs),
            {table: frozenset(each.names) for table, each in tables.items()},
            {table: frozenset(each.generated) for table, each in tables.items()},
        )

    # Where it comes from

    def check_origin(self, found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
        """
        Tell this site's snapshots, older ones and those of a site that had more apps too, from
        those of another project and of a newer release. Reads no database.

        :raises ForeignDatabaseError: none of the project's own apps are in it, and the live
            database has them; unless "foreign" is accepted.
        :raises NewerSnapshotError: an installed app has migrations in it that come after all that
            this release knows.
        :returns: warnings that name what this release does not have any more.
        """
        loader = SnapshotLoader(found.migrations)
        warnings = [*self._check_own(loader, live, accept)]
        installed = {config.label for config in apps.get_app_configs()}
        unknown = loader.unknown()
        behind = [name_of(key) for key in unknown if key[0] in installed]
        _refuse_newer(
            [
                name
                for name in behind
                if name not in live.migrations and not loader.is_left_behind(key_of(name))
            ]
        )
        if behind:
            warnings.append(
                f"The snapshot has the migration{_plural(behind)} {_some(behind)}, which this"
                " release does not have."
            )
        gone = dict.fromkeys(app for app, _ in unknown if app not in installed)
        warnings += [_warn_of_gone(app, found) for app in gone]
        return tuple(warnings)

    def _check_own(
        self, loader: SnapshotLoader, live: Live, accept: Collection[str]
    ) -> tuple[str, ...]:
        own = own_apps(loader)
        if not own or own.intersection(app for app, _ in loader.applied_migrations):
            return ()
        others = dict.fromkeys(app for app, _ in loader.unknown())
        verb = "are" if len(others) > 1 else "is"
        whose = (
            f"It has the app{_plural(others)} {_some(list(others))}, which {verb} not installed"
            " here."
            if others
            else f"To go live it would need {len(loader.plan())} migrations, which would create"
            " the tables of these apps, empty."
        )
        words = f"None of this project's own apps ({_some(sorted(own))}) are in the file. {whose}"
        is_bare = live.is_known and not own.intersection(
            app for app, _ in map(key_of, live.migrations)
        )
        if FOREIGN in accept or is_bare:
            return (words,)
        raise ForeignDatabaseError(
            words,
            hint="Nothing was staged. Send a file that came from this site's backup. To restore"
            " this one all the same: restore_db PATH --accept-foreign, or ?accept=foreign.",
        )

    def unknown(self, applied: Collection[str]) -> tuple[str, ...]:
        """Of these, the migrations that the installed code does not have. Reads no database."""
        return tuple(map(name_of, SnapshotLoader(applied).unknown()))

    def check_known(self, applied: Collection[str], historic: Collection[str]) -> None:
        """Raise NewerSnapshotError, naming them, if the snapshot has others. Reads no database."""
        _refuse_newer([name for name in self.unknown(applied) if name not in historic])

    # What is in it

    def check_tables(self, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
        """
        Raise MissingTablesError, naming them, if the snapshot lacks tables or columns. Reads no
        database. A column counts as there if the table has it under any case, as SQLite sees it.

        A column must also be generated just where the model has a ``GeneratedField``, or the live
        database has it so: an expression of somebody else's can keep the first query of the site
        busy for ever. Else UnknownSchemaError, unless BACKUPS_ALLOW_UNKNOWN_SCHEMA is on.

        A project may create its tables with its own SQL: as a virtual table, as a view, or not at
        all. What the live database has in such a way, or lacks too, is right in a snapshot. If
        the live database can't tell, the migrations do: what they only tell Django of
        (``SeparateDatabaseAndState``) is not asked for.

        :param judged: migrations whose promises were looked at before.
        """
        loader = SnapshotLoader(found.migrations)
        promised = promised_tables(loader, self._alias)
        if judged:
            _take_off(promised, promised_tables(SnapshotLoader(judged), self._alias))
        if live.tables is None:
            _take_off(promised, made_elsewhere(loader, self._alias))
        else:
            _take_off(promised, self._broken_by(live))
        programs = {fold(each.name) for each in found.programs if each.is_relation}
        lacking = {
            name: columns for name, columns in promised.items() if fold(name) not in programs
        }
        _check_tables(lacking, found.tables)
        if not judged and not conf.allow_unknown_schema:
            _check_kinds(lacking, promised_generated(loader, self._alias), found, live)

    def _broken_by(self, live: Live) -> Promises:
        """Which tables and columns the live database lacks, although it has promised them too."""
        assert live.tables is not None
        broken: Promises = {}
        promised = promised_tables(SnapshotLoader(live.migrations), self._alias)
        for name, columns in promised.items():
            if (there := live.tables.get(fold(name))) is None:
                broken[name] = []
            elif lacking := [column for column in columns if fold(column) not in there]:
                broken[name] = lacking
        return broken

    def check_programs(
        self, found: Collection[Program], live: Live, *, applied: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[Program, ...]]:
        """
        Refuse what the live database does not have too, unless BACKUPS_ALLOW_UNKNOWN_SCHEMA says
        otherwise. Returns a warning instead if the live database can't tell.

        Of a snapshot that needs migrations (``applied`` has those that it does not need), a view
        that the live database has in other words, and whatever stands so in the SQL of a
        migration of this site, may be what those migrations are to change. These are returned:
        they must not be left as they are.

        :raises UnknownSchemaError: naming the trigger, view or virtual table.
        """
        unknown = [each for each in sorted(found) if each not in (live.programs or ())]
        if not unknown or conf.allow_unknown_schema:
            return (), ()
        names = list(map(str, unknown))
        if live.programs is None:
            return (
                f"The snapshot has the {_some(names)}. It is not known whether this site's own"
                " database has the same: it is missing, or can't be read.",
            ), ()
        changing = self._are_to_change(unknown, live, applied)
        if strange := [str(each) for each in unknown if each not in changing]:
            raise UnknownSchemaError(
                f"The snapshot has the {_some(strange)}, which this site's database does not have."
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
        """Ask BACKUPS_RECOGNISER, if there is one. Reads no database."""
        if not conf.recogniser:
            return ""
        return str(import_string(conf.recogniser)(tables))

    def session_tables(self) -> tuple[str, ...]:
        """
        The tables of login sessions that are kept in a database, those that refer to them first;
        none if BACKUPS_CLEAR_SESSIONS is off. Reads no database.
        """
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
        """Where what BACKUPS_CONNECTION_SETUP or the site's receivers register is found out."""
        return "backups.site.connection_setup", self._alias, conf.connection_setup

    def disconnect(self) -> None:
        """All of them: two aliases may be one file."""
        connections.close_all()

    def plan(self, applied: Collection[str]) -> tuple[str, ...]:
        """
        What ``migrate`` would run on a database that has these. Reads no database.

        :raises InconsistentHistoryError: it would refuse to begin.
        """
        loader = SnapshotLoader(applied)
        plan = loader.plan()
        if plan and (broken := loader.broken_order()):
            raise InconsistentHistoryError(
                f"The snapshot needs {len(plan)} migration{_plural(plan)}, and Django refuses to"
                f" run any on it: {broken[0]} is applied in it before {broken[1]}, which it"
                " depends on."
            )
        if plan and (conflicts := loader.detect_conflicts()):
            app, names = next(iter(sorted(conflicts.items())))
            raise InconsistentHistoryError(
                f"The snapshot needs {len(plan)} migration{_plural(plan)}, and Django refuses to"
                f" run any with this release: the app {app} has more than one last migration"
                f" ({_some(sorted(names))}).",
                hint="Nothing was staged. Merge them first: manage.py makemigrations --merge",
            )
        return plan

    def migrate(self, database: Path) -> None:
        """
        Bring a database file to this release, in a child process. However long that takes.

        :raises RestoreRefusedError: a migration failed; discard the file.
        """
        migrate_file(self._alias, database)


def _applied(connection: Any) -> Collection[tuple[str, str]]:
    """Without their dates, which a database can have in a form that Django fails to read."""
    recorder = MigrationRecorder(connection)
    return list(recorder.migration_qs.values_list("app", "name")) if recorder.has_table() else []


def _columns(cursor: Any, names: Collection[str]) -> Mapping[str, Columns]:
    """The columns of whatever can be read like a table, by its folded name."""
    found = {}
    for name in names:
        if "\0" in name:  # no statement can name it
            continue
        try:
            rows = cursor.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
        except DatabaseError:  # a virtual table whose module is not loaded, a view of nothing
            rows = []
        found[fold(name)] = read_columns(rows)
    return found


def _check_kinds(promised: Promises, generated: Promises, found: Found, live: Live) -> None:
    """Refuse a column that is generated, or is not, against both the model and the live table."""
    for name, columns in sorted(promised.items()):
        for column in columns:
            there = _has(found.generated, name, column)
            here = column in generated.get(name, ())
            is_live = _has(live.tables or {}, name, column)
            was = _has(live.generated, name, column) if is_live else here
            if there not in (here, was):
                words = "is a generated column", "is not a generated column"
                raise UnknownSchemaError(
                    f"In the snapshot, {_clip(name)}.{_clip(column)} {words[not there]}; on this"
                    f" site it {words[there]}."
                )


def _has(tables: Mapping[str, Collection[str]], name: str, column: str) -> bool:
    return fold(column) in tables.get(fold(name), ())


def _take_off(promised: Promises, others: Promises) -> None:
    """Ask no more for these columns; nor for the table, if others has it without columns."""
    for name, columns in others.items():
        left = [each for each in promised.get(name, ()) if columns and each not in columns]
        if left:
            promised[name] = left
        else:
            promised.pop(name, None)


def _check_tables(promised: Promises, tables: Mapping[str, Collection[str]]) -> None:
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


def _refuse_newer(unknown: list[str]) -> None:
    if unknown:
        raise NewerSnapshotError(
            "The snapshot was made by a newer release: this one does not know the"
            f" migration{_plural(unknown)} {_some(unknown)}."
        )


def _warn_of_gone(app: str, found: Found) -> str:
    tables = sorted(name for name in found.tables if name.startswith(f"{fold(app)}_"))
    verb = "stay" if len(tables) > 1 else "stays"
    what = f"its table{_plural(tables)} {_some(tables)} {verb}" if tables else "its migrations stay"
    return (
        f"The snapshot has the app {_clip(app)}, which is not installed here: {what} in the"
        f" database, and nothing uses {'it' if len(tables) == 1 else 'them'}."
    )


def _plural(names: Collection[object]) -> str:
    return "s" if len(names) > 1 else ""


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(map(_clip, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _clip(name: str) -> str:
    """A name that can be shown: a hostile snapshot's may be long, or many lines."""
    line = " ".join(name.split())
    return line if len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + "…"
