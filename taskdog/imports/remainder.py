"""What an import has to know beyond the rows: ids that were given once, and what has no place."""

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

AUDITED_IDS = (
    "SELECT max(resource_id) FROM audit_logs WHERE resource_type = 'task'"
    " AND typeof(resource_id) = 'integer' AND resource_id < ?"
)
AWAITED_IDS = (
    "SELECT max(value) FROM tasks,"
    " json_each(CASE WHEN json_valid(depends_on) THEN depends_on ELSE '[]' END)"
    " WHERE json_each.type = 'integer' AND value < ?"
)


def highest_task_id(source: Source) -> int:
    """
    The highest id of a task that is not there any more, as far as anything remembers it.

    Their server gives an id again once its task is deleted. Ours does not, so that an audit row
    never comes to mean another task.
    """
    audited = source.scalar(AUDITED_IDS, MAX_ID) if "audit_logs" in source.tables else 0
    return max(audited, source.scalar(AWAITED_IDS, MAX_ID))


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
