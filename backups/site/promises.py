"""Which tables and columns the migrations of a database promise, by the models' states."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import connections, router
from django.db.migrations.operations import AddField, CreateModel, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.models import Field

from backups.site.migrations import SnapshotLoader, flat

Promises = dict[str, list[str]]  # of each table its columns


def promised_tables(loader: SnapshotLoader, alias: str) -> Promises:
    """
    The table of every installed model, with its columns, as they were when the database's last
    migration ran; but for models that a router keeps in another database.
    """
    return _promised(loader, alias, lambda _: True)


def promised_generated(loader: SnapshotLoader, alias: str) -> Promises:
    """Of these, the columns that the database computes (``GeneratedField``, Django 5.0)."""
    return _promised(loader, alias, lambda field: getattr(field, "generated", False))


def _promised(
    loader: SnapshotLoader, alias: str, wanted: Callable[["Field[Any, Any]"], bool]
) -> Promises:
    connection = connections[alias]
    return {
        model._meta.db_table: [
            str(field.column)
            for field in model._meta.local_concrete_fields
            if field.db_parameters(connection)["type"] is not None and wanted(field)
        ]
        for model in loader.models.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and router.allow_migrate_model(alias, model)
    }


def made_elsewhere(loader: SnapshotLoader, alias: str) -> Promises:
    """
    Of these, what Django itself does not make: the models and fields that a migration only tells
    it of (``SeparateDatabaseAndState``). SQL of the project's own makes them, or nobody does.

    :returns: the tables with no columns, and the columns of others that were only stated.
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
