"""
Tasks and what hangs on them. The database itself holds the rules that a row can be checked by.

Ids are never given twice (AUTOINCREMENT), so a number in a log or a script cannot come to mean
another task. Times are local and have no offset.
"""

from taskdog.tasks.models.allocation import DailyAllocation
from taskdog.tasks.models.dependency import TaskDependency
from taskdog.tasks.models.note import Note
from taskdog.tasks.models.tag import MAX_TAG_LENGTH, Tag, TaskTag
from taskdog.tasks.models.task import MAX_NAME_LENGTH, Task, TaskQuerySet, TaskStatus

__all__ = [
    "MAX_NAME_LENGTH",
    "MAX_TAG_LENGTH",
    "DailyAllocation",
    "Note",
    "Tag",
    "Task",
    "TaskDependency",
    "TaskQuerySet",
    "TaskStatus",
    "TaskTag",
]
