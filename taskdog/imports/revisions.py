"""
The schema of taskdog's own server, by its Alembic revisions, as far as this release knows it.

Source: the migrations in the package ``taskdog-core`` 0.29.0 on PyPI.
"""

from collections.abc import Collection, Mapping

# In order. 001 is also what a database without Alembic's table has: that server takes it so.
KNOWN = (
    "001_initial",
    "002_remove_actual_daily_hours",  # the column tasks.actual_daily_hours
    "003_make_priority_nullable",
    "004_add_notes_table",  # before, a note was a file: notes/<id>.md beside the database
    "005_add_daily_allocations_table",  # before, JSON in tasks.daily_allocations; now in both
    "006_remove_daily_allocations_json",
)
VERSION_TABLE = "alembic_version"
TASK_COLUMNS = frozenset(
    {"id", "name", "priority", "status", "created_at", "updated_at", "depends_on", "is_archived"}
)
COMMAND = "manage.py import_taskdog PATH"


def is_taskdog(tables: Mapping[str, Collection[str]]) -> bool:
    """
    Tell whether these are the tables of taskdog's own server, of whatever revision.

    :param tables: the columns of each table; lower case, all of them.
    """
    return "django_migrations" not in tables and TASK_COLUMNS.issubset(tables.get("tasks", ()))


def recognise(tables: Mapping[str, Collection[str]]) -> str:
    """Say how to bring such a database in; empty for any other. For BACKUPS_RECOGNISER."""
    if not is_taskdog(tables):
        return ""
    return f"It is a database of taskdog's own server: bring it in with '{COMMAND}'."
