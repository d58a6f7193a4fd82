"""Which tables and columns the migrations of a database promise, and whether it has them."""

from collections.abc import Collection, Iterable, Mapping

from django.db import connections, router
from django.db.migrations.operations import AddField, CreateModel, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from backups.conf import conf
from backups.exceptions import MissingTablesError, UnknownSchemaError
from backups.site.migrations import SnapshotLoader, flat
from backups.site.names import clip, plural, some
from backups.sqlite.format.schema import fold
from backups.sqlite.site import Found, Live

Promises = dict[str, list[str]]  # of each table its columns


def check_promises(alias: str, found: Found, live: Live, *, judged: Collection[str] = ()) -> None:
    """
    Raise MissingTablesError, with their names, if the snapshot lacks tables or columns. Reads no
    database. Like SQLite, it ignores the case of names.

    Whether a column is generated must agree with the model (a ``GeneratedField``) or with the live
    database: somebody else's expression can keep the site's first query busy for ever. Otherwise
    UnknownSchemaError, unless BACKUPS_ALLOW_UNKNOWN_SCHEMA is on.

    A project may create its tables with its own SQL: as virtual tables, as views, or not at all.
    If the live database has a table in such a form, or lacks it too, so may a snapshot. If the live
    database can't be read, the migrations decide: what they only declare
    (``SeparateDatabaseAndState``) is not required.

    :param judged: migrations whose promises were checked before.
    """
    loader = SnapshotLoader(found.migrations)
    promised = promised_tables(loader, alias)
    if judged:
        _remove_from(promised, promised_tables(SnapshotLoader(judged), alias))
    if live.tables is None:
        _remove_from(promised, made_elsewhere(loader, alias))
    else:
        _remove_from(promised, _broken_by(alias, live))
    programs = {fold(each.name) for each in found.programs if each.is_relation}
    lacking = {name: columns for name, columns in promised.items() if fold(name) not in programs}
    _check_tables(lacking, found.tables)
    if not judged and not conf.allow_unknown_schema:
        generated = promised_tables(loader, alias, only_generated=True)
        _check_kinds(lacking, generated, found, live)


def promised_tables(
    loader: SnapshotLoader, alias: str, *, only_generated: bool = False
) -> Promises:
    """
    The table of every installed model, with its columns, as they were when the database's last
    migration ran; except models that a router keeps in another database.

    :param only_generated: only the columns that the database computes (``GeneratedField``).
    """
    connection = connections[alias]
    return {
        model._meta.db_table: [
            str(field.column)
            for field in model._meta.local_concrete_fields
            if field.db_parameters(connection)["type"] is not None
            and (not only_generated or getattr(field, "generated", False))
        ]
        for model in loader.models.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and router.allow_migrate_model(alias, model)
    }


def made_elsewhere(loader: SnapshotLoader, alias: str) -> Promises:
    """
    The tables and columns that Django itself does not create: a migration only declares them
    (``SeparateDatabaseAndState``). The project's own SQL creates them, or nothing does.

    :returns: a table without columns if all of it is only declared; else the columns that are.
    """
    told, made = set(), set()
    for key in loader.graph.nodes:
        if key in loader.applied_migrations:
            operations = loader.graph.nodes[key].operations
            told |= {(key[0], *each) for each in _named(_states(operations))}
            made |= {(key[0], *each) for each in _named(flat(operations))}
    elsewhere: Promises = {}
    for app, model, field in sorted(told - made):
        try:
            meta = loader.models.get_model(app, model)._meta
            columns = [str(meta.get_field(field).column)] if field else []
        except LookupError:  # removed since; Django's FieldDoesNotExist is not a LookupError
            continue
        except Exception:  # noqa: S112  # renamed since: then nothing is known of it
            continue
        elsewhere.setdefault(meta.db_table, []).extend(columns)
    return elsewhere


def _states(operations: Iterable[Operation]) -> Iterable[Operation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from operation.state_operations


def _named(operations: Iterable[Operation]) -> Iterable[tuple[str, str]]:
    """Model and field of each operation that makes one; the field is empty for a whole model."""
    for operation in operations:
        if isinstance(operation, CreateModel):
            yield operation.name_lower, ""
        elif isinstance(operation, AddField):
            yield operation.model_name_lower, operation.name_lower


def _broken_by(alias: str, live: Live) -> Promises:
    """The tables and columns that the live database lacks although its migrations promise them."""
    assert live.tables is not None
    broken: Promises = {}
    promised = promised_tables(SnapshotLoader(live.migrations), alias)
    for name, columns in promised.items():
        if (there := live.tables.get(fold(name))) is None:
            broken[name] = []
        elif lacking := [column for column in columns if fold(column) not in there]:
            broken[name] = lacking
    return broken


def _check_kinds(promised: Promises, generated: Promises, found: Found, live: Live) -> None:
    """Refuse a column whose kind, generated or not, is neither the model's nor the live table's."""
    for name, columns in sorted(promised.items()):
        for column in columns:
            there = _has(found.generated, name, column)
            here = column in generated.get(name, ())
            is_live = _has(live.tables or {}, name, column)
            was = _has(live.generated, name, column) if is_live else here
            if there not in (here, was):
                words = "is a generated column", "is not a generated column"
                raise UnknownSchemaError(
                    f"In the snapshot, {clip(name)}.{clip(column)} {words[not there]}; on this"
                    f" site it {words[there]}."
                )


def _has(tables: Mapping[str, Collection[str]], name: str, column: str) -> bool:
    return fold(column) in tables.get(fold(name), ())


def _remove_from(promised: Promises, others: Promises) -> None:
    """Remove these columns, and all of each table that ``others`` has without columns."""
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
            f" table{plural(missing)} {some(missing)}, which it does not have."
        )
    for name, columns in sorted(promised.items()):
        there = tables[fold(name)]
        if lacking := [column for column in columns if fold(column) not in there]:
            raise MissingTablesError(
                f"The snapshot is not whole: its table {name} lacks the"
                f" column{plural(lacking)} {some(lacking)}."
            )
