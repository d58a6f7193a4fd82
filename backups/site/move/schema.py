"""
The tables: made by the migrations that the snapshot has, as they were at that point.

Migrations that this release does not know are left out here: their names come with the rows of
``django_migrations``.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.cache import caches
from django.core.management import call_command
from django.db import router
from django.db.backends.utils import truncate_name
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from backups.site.migrations import SnapshotLoader
from backups.site.move.target import LONGEST_NAME
from backups.sqlite.format.schema import fold

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model


class FailedMigrationError(Exception):
    """Its words are the migration's name; its cause is the reason."""


def make_tables(
    connection: "BaseDatabaseWrapper",
    applied: Collection[str],
    there: Collection[str],
    tell: Callable[[int, int], None],
) -> SnapshotLoader:
    """
    Make the tables of every model.

    :param there: the tables of the snapshot. Those of an app without migrations are made if it has
        them.
    :param tell: called with the number of migrations that have run, and of all.
    :raises FailedMigrationError: one does not run on PostgreSQL.
    :returns: the loader, whose ``models`` are those that the tables belong to.
    """
    loader = SnapshotLoader(applied)
    early, late = _without_migrations(connection, loader, there)
    _create(connection, early)
    _run(connection, loader, tell)
    _create(connection, late)
    _make_caches(connection, there)
    return loader


def _run(
    connection: "BaseDatabaseWrapper", loader: SnapshotLoader, tell: Callable[[int, int], None]
) -> None:
    plan = plan_of(loader)
    done, running = 0, ""

    def hear(action: str, migration: Migration | None = None, fake: bool = False) -> None:
        nonlocal done, running
        if action == "apply_start":
            running = str(migration)
        elif action == "apply_success":
            done += 1
            tell(done, len(plan))

    executor = MigrationExecutor(connection, hear)  # type: ignore[arg-type]
    executor.loader = loader
    if plan:
        state = ProjectState(real_apps=loader.unmigrated_apps)
        try:
            executor.migrate([], plan=plan, state=state)
        except Exception as error:
            raise FailedMigrationError(running) from error
    else:
        executor.recorder.ensure_schema()


def _make_caches(connection: "BaseDatabaseWrapper", there: Collection[str]) -> None:
    """Make the tables of caches that the snapshot has: ``createcachetable`` does, no migration."""
    tables = {fold(name) for name in there}
    for alias in caches:
        table = ""
        with suppress(Exception):  # one that can't be set up has no table
            table = getattr(caches[alias], "_table", "")
        if table and fold(table) in tables:
            call_command("createcachetable", table, database=connection.alias, verbosity=0)


def plan_of(loader: SnapshotLoader) -> list[tuple[Migration, bool]]:
    """The migrations that the snapshot has and this release knows, in order; all forwards."""
    keys: dict[tuple[str, str], None] = {}
    for target in loader.graph.leaf_nodes():
        for key in loader.graph.forwards_plan(target):
            if key in loader.applied_migrations:
                keys[key] = None
    return [(loader.graph.nodes[key], False) for key in keys]


def models_without_migrations(loader: SnapshotLoader) -> list[type["Model"]]:
    """The models of apps without migrations, as they are now: they have no other state."""
    return [
        model
        for label in loader.unmigrated_apps
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
    ]


def _without_migrations(
    connection: "BaseDatabaseWrapper", loader: SnapshotLoader, there: Collection[str]
) -> tuple[list[type["Model"]], list[type["Model"]]]:
    """
    The models of apps without migrations. Migrations may refer to those that come first; the
    others refer to models with migrations, which SQLite allows.
    """
    tables = {fold(each) for name in there for each in (name, truncate_name(name, LONGEST_NAME))}
    # Not those of the loader: Django leaves their references out, as migrations can't need them.
    early: list[type[Model]] = []
    late: list[type[Model]] = []
    for model in models_without_migrations(loader):
        meta = model._meta
        if (
            not meta.auto_created
            and fold(meta.db_table) in tables
            and meta.can_migrate(connection)
            and router.allow_migrate_model(connection.alias, model)
        ):
            refers = any(each in loader.migrated_apps for each in _apps_referred_to(model))
            (late if refers else early).append(model)
    return early, late


def _apps_referred_to(model: type["Model"]) -> Iterable[str]:
    fields: list[Any] = [*model._meta.local_fields, *model._meta.local_many_to_many]
    return [each.related_model._meta.app_label for each in fields if each.related_model]


def _create(connection: "BaseDatabaseWrapper", models: Iterable[type["Model"]]) -> None:
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
