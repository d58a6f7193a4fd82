"""Carry the data of taskdog's own server over, all of it or nothing."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Max, Model
from django.utils import timezone

from taskdog.audit.models import AuditLog
from taskdog.fields import MAX_INTEGER
from taskdog.imports import allocations, rows
from taskdog.imports.cells import Changes
from taskdog.imports.dependencies import dependencies
from taskdog.imports.exceptions import StoreNotReadyError
from taskdog.imports.fitting import fitting
from taskdog.imports.remainder import highest_task_id, left_behind
from taskdog.imports.source import Source, open_source
from taskdog.tasks.models import DailyAllocation, Note, Tag, Task, TaskDependency, TaskTag
from taskdog.transactions import is_postgres, writing

MODELS: tuple[type[Model], ...] = (
    Task,
    Tag,
    TaskTag,
    TaskDependency,
    Note,
    DailyAllocation,
    AuditLog,
)
NEW_STORE = {
    "sqlite": "TASKDOG_DATA_DIR to a new folder",
    "postgresql": "TASKDOG_DATABASE_URL to a new database",
}
BATCH = 500  # rows that are held in memory, and written by one statement

AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass
class Imported:
    """What came over."""

    revision: str
    counts: dict[str, int] = field(default_factory=dict)  # rows by table of ours, in order
    changes: Changes = field(default_factory=list)  # what is not as it was, a sentence each


def import_database(path: Path, *, scratch: Path, dry_run: bool = False) -> Imported:
    """
    Carry over every task, tag, note, dependency, allocation and audit row, ids and times kept.

    ``path`` and its folder are read only. The store is written in one transaction: if anything
    fails, or this process is killed, it is as empty as before. Ids that were given, also to tasks
    that are deleted by now, are not given again.

    :param path: a database of taskdog's own server, of any revision up to ``revisions.KNOWN``.
    :param scratch: the folder for a private copy, see ``private_copy``; as large as the database.
    :param dry_run: find out what would happen, and change nothing.
    :raises ImportRefusedError: the database can't be imported, or the store is not empty.
    :raises OSError: a file can't be read, or the copy not be written.
    """
    check_store_is_empty()  # before the copy, and once more with the write lock
    with open_source(path, scratch=scratch) as source, writing():
        check_store_is_empty()
        imported = _carry_over(source)
        transaction.set_rollback(dry_run)
    return imported


def check_store_is_empty() -> None:
    """
    Tell whether there is room for another store's ids. Reads only.

    :raises StoreNotReadyError: there are rows, or no tables.
    """
    tables = set(connection.introspection.table_names())
    if missing := [model._meta.db_table for model in MODELS if model._meta.db_table not in tables]:
        raise StoreNotReadyError(
            f"This site's store has no table {missing[0]} yet. Make it with: manage.py migrate"
        )
    found = {model._meta.db_table: model._default_manager.count() for model in MODELS}
    if any(found.values()):
        words = ", ".join(f"{name} {count}" for name, count in found.items() if count)
        raise StoreNotReadyError(
            f"This site's store is not empty (rows: {words}), and ids are kept. Import into a new"
            f" one: set {NEW_STORE[connection.vendor]} and run manage.py migrate first."
        )


def _carry_over(source: Source) -> Imported:
    imported = Imported(source.revision)
    changes, now = imported.changes, timezone.now()

    def write(model: type[AnyModel], found: Iterator[AnyModel]) -> None:
        table = model._meta.db_table
        found = fitting(found, changes) if is_postgres() else found
        imported.counts[table] = imported.counts.get(table, 0) + _write(model, found)
        if model is not Note:  # which has the id of its task
            _count_on(model)

    write(Task, rows.tasks(source, changes, now=now))
    write(Tag, rows.tags(source, changes, now=now))
    task_ids, tag_ids = _ids(Task), _ids(Tag)
    write(TaskTag, rows.task_tags(source, changes, task_ids=task_ids, tag_ids=tag_ids))
    write(TaskDependency, dependencies(source, changes, task_ids=task_ids))
    write(Note, rows.notes(source, changes, task_ids=task_ids, now=now))
    write(DailyAllocation, allocations.allocations(source, changes, task_ids=task_ids, now=now))
    write(
        DailyAllocation,
        allocations.allocations_in_json(source, changes, known=_allocated(), now=now),
    )
    write(AuditLog, rows.audit_logs(source, changes, now=now))
    changes += left_behind(source)
    _count_on(Task, highest_task_id(source))
    return imported


def _write(model: type[AnyModel], found: Iterator[AnyModel]) -> int:
    """Insert rows, a batch at a time. Returns how many."""
    written = 0
    while batch := list(islice(found, BATCH)):
        model._default_manager.bulk_create(batch)
        written += len(batch)
    return written


def _ids(model: type[Model]) -> Collection[int]:
    return set(model._default_manager.values_list("pk", flat=True))


def _allocated() -> Collection[tuple[int, date]]:
    return set(DailyAllocation.objects.values_list("task_id", "date"))


def _count_on(model: type[Model], given: int = 0) -> None:
    """Let a table count on from its highest id, or from one that was given before, if higher."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if is_postgres():
            highest = model._default_manager.aggregate(highest=Max("pk"))["highest"]
            following = min(max(highest or 0, given, 0) + 1, MAX_INTEGER)
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            (sequence,) = cursor.fetchone()
            # Unlike setval, this is taken back with the transaction.
            cursor.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {following}")
        elif given:  # SQLite itself counts those that are there
            cursor.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, %s) WHERE name = %s", [given, table]
            )
            if not cursor.rowcount:
                cursor.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, given]
                )
