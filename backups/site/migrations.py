"""Compare the migrations that a snapshot has with those of the installed apps."""

import re
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.db import connection
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from backups.exceptions import InvalidSnapshotError

Key = tuple[str, str]  # app label, migration name

_OPENING = re.compile(
    r"\s*CREATE\s+(TRIGGER|VIEW|VIRTUAL\s+TABLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:main\s*\.\s*)?",
    re.IGNORECASE | re.ASCII,
)


class SnapshotLoader(MigrationLoader):
    """
    Django's loader, for a database of which we know only the applied migrations.

    ``build_graph`` asks a connection what was applied, and assumes nothing without one. Here we
    pass in what was applied, so that squashed migrations resolve as on that database.
    """

    def __init__(self, applied: Iterable[str]) -> None:
        self._applied: dict[Key, Any] = {key_of(name): None for name in applied}
        super().__init__(None, ignore_no_migrations=True)

    def build_graph(self) -> None:
        """
        :raises InvalidSnapshotError: the snapshot has only some of the migrations that a squashed
            one replaces, and the files of the others are gone.
        """
        try:
            super().build_graph()
        except NodeNotFoundError as error:
            raise InvalidSnapshotError(
                f"This release can't migrate the snapshot forward: {error}"
            ) from error

    @property
    def applied_migrations(self) -> dict[Key, Any]:
        return self._applied

    @applied_migrations.setter
    def applied_migrations(self, _: object) -> None:
        """Ignore what the loader assumes without a connection."""

    # What the snapshot has

    @cached_property
    def models(self) -> Any:
        """The app registry of the models' states after the last migration that was applied."""
        nodes = [key for key in self.graph.nodes if key in self.applied_migrations]
        return self.project_state(nodes).apps

    def unknown(self) -> list[Key]:
        """The migrations that this release does not know, in the snapshot's order."""
        known = set(self.disk_migrations)
        for migration in self.disk_migrations.values():
            known.update(migration.replaces)
        return [key for key in self._applied if key not in known]

    def is_left_behind(self, key: Key) -> bool:
        """
        Whether a migration that this release does not know comes before one that it knows and
        that the snapshot also has. Then its file was removed or renamed, e.g. by a squash.
        """
        number = _first_number(key)
        return number is not None and number < self._ends.get(key[0], 0)

    @cached_property
    def _ends(self) -> dict[str, int]:
        """Of each app, the highest ``_end`` of those that this release and the snapshot have."""
        ends: dict[str, int] = {}
        for key in self.disk_migrations:
            if key in self._applied:
                ends[key[0]] = max(_end(key), ends.get(key[0], 0))
        return ends

    def broken_order(self) -> tuple[str, str] | None:
        """
        A migration that was applied before one that it depends on, and the latter. ``migrate``
        refuses to run on such a database.

        Source: ``MigrationLoader.check_consistent_history``, which asks a connection.
        """
        for key in self._applied:
            if key not in self.graph.nodes:
                continue
            for parent in self.graph.node_map[key].parents:
                if parent.key not in self._applied and not self._is_replaced(parent.key):
                    return name_of(key), name_of(parent.key)
        return None

    def plan(self) -> tuple[str, ...]:
        """What ``migrate`` would run on it, in order."""
        plan: dict[Key, None] = {}
        for target in self.graph.leaf_nodes():
            for key in self.graph.forwards_plan(target):
                if key not in self._applied:
                    plan[key] = None
        return tuple(map(name_of, plan))

    def statements(self) -> set[str]:
        """The words of each SQL statement in this release's migrations, in both directions."""
        return {
            words_of(sql)
            for migration in self.disk_migrations.values()
            for operation in flat(migration.operations)
            if isinstance(operation, RunSQL)
            for sql in _sqls(operation)
        }

    def _is_replaced(self, key: Key) -> bool:
        migration = self.replacements.get(key)
        return migration is not None and all(each in self._applied for each in migration.replaces)


def own_apps(loader: MigrationLoader) -> set[str]:
    """
    The labels of the project's own apps that have migrations: those whose code is not where
    packages are installed. If there are none, of every app that is not Django's. Empty if this
    project's database looks like any other's.
    """
    configs = [each for each in apps.get_app_configs() if each.label in loader.migrated_apps]
    others = [each for each in configs if not _is_djangos(each)]
    own = [each for each in others if not _is_installed(each)]
    return {each.label for each in own or others}


def flat(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations that act on a database; of ``SeparateDatabaseAndState``, only that half."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from flat(operation.database_operations)
        else:
            yield operation


def words_of(sql: str) -> str:
    """
    A statement as SQLite stores it: its opening normalized, the rest as it was typed. Not even
    white space may differ, since a line break ends a comment.
    """
    match = _OPENING.match(sql)
    if match is None:
        return sql.strip()
    kind = " ".join(match[1].upper().split())
    return f"CREATE {kind} " + sql[match.end() :].rstrip("; \t\r\n")


def key_of(name: str) -> Key:
    """Split ``tasks.0001_initial`` into its two parts."""
    app, _, migration = name.partition(".")
    return app, migration


def name_of(key: Key) -> str:
    """Join the two parts to one name."""
    return ".".join(key)


def _sqls(operation: RunSQL) -> Iterator[str]:
    """The statements of both directions: a list unchanged, a text as Django splits it."""
    for given in (operation.sql, operation.reverse_sql):
        if isinstance(given, str):
            yield given
            yield from connection.ops.prepare_sql_script(given)
            continue
        for part in given or ():
            text = part[0] if isinstance(part, list | tuple) else part
            if isinstance(text, str):
                yield text


def _first_number(key: Key) -> int | None:
    match = re.match(r"\d+", key[1])
    return int(match[0]) if match else None


def _end(key: Key) -> int:
    """Migrations with lower numbers come before this one; a squash includes its last number."""
    numbers = [int(number) for number in re.findall(r"\d{4,}", key[1])]
    if "squashed" in key[1] and len(numbers) > 1:
        return max(numbers) + 1
    return numbers[0] if numbers else 0


def _is_djangos(config: AppConfig) -> bool:
    return config.name == "backups" or config.name.partition(".")[0] in ("django", "rest_framework")


def _is_installed(config: AppConfig) -> bool:
    """Whether its code is where packages are installed."""
    places = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    path = Path(config.path).resolve()
    named = {"site-packages", "dist-packages"}.intersection(path.parts)
    return bool(named) or any(path.is_relative_to(place) for place in places)
