"""What an import has to know beyond the rows: ids that were given once, and what has no place."""

import json
from collections.abc import Iterator
from contextlib import suppress

from taskdog.imports.allocations import ALLOCATION_COLUMNS
from taskdog.imports.cells import Changes
from taskdog.imports.revisions import VERSION_TABLE
from taskdog.imports.rows import (
    AUDIT_COLUMNS,
    LINK_COLUMNS,
    NOTE_COLUMNS,
    TAG_COLUMNS,
    TASK_COLUMNS,
)
from taskdog.imports.source import Source

CARRIED = {
    VERSION_TABLE: ("version_num",),
    "tasks": (*TASK_COLUMNS, "depends_on", "daily_allocations"),
    "tags": TAG_COLUMNS,
    "task_tags": LINK_COLUMNS,
    "notes": NOTE_COLUMNS,
    "daily_allocations": ALLOCATION_COLUMNS,
    "audit_logs": AUDIT_COLUMNS,
}
MAX_ID = 2**53  # the largest whole number that is the same in every JSON reader: no real id


def highest_task_id(source: Source) -> int:
    """
    The highest id of a task that is not there any more, as far as anything remembers it.

    Their server gives an id again once its task is deleted. Ours does not, so that an audit row
    never comes to mean another task.
    """
    return max((each for each in _remembered(source) if 0 < each < MAX_ID), default=0)


def _remembered(source: Source) -> Iterator[int]:
    for row in source.rows("audit_logs", ("id", "resource_type", "resource_id"), order="id"):
        if row["resource_type"] == "task" and isinstance(row["resource_id"], int):
            yield row["resource_id"]
    for row in source.rows("tasks", ("id", "depends_on"), order="id"):
        with suppress(ValueError, RecursionError):  # no JSON, which has been told
            awaited = json.loads(str(row["depends_on"]))
            found = awaited if isinstance(awaited, list) else [awaited]
            yield from (each for each in found if type(each) is int)


def left_behind(source: Source) -> Changes:
    """Say which tables and columns have content that this site has no place for."""
    found = []
    for table, columns in sorted(source.tables.items()):
        if table not in CARRIED:
            if number := source.count(table):
                found.append(f"the table {table} is not carried over, with its {number} rows")
            continue
        for column in columns:
            if column in CARRIED[table]:
                continue
            if number := source.count(table, column):
                found.append(f"the column {table}.{column} is not carried over, {number} have it")
    return found
