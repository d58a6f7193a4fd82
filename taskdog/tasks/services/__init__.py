"""
Change tasks: the front door of the domain, and the only place that writes to it.

Every service is one transaction, which holds the change, its row in the audit log, and the
checks before them: with SQLite's IMMEDIATE transactions no other writer comes between. If a
service raises, nothing has changed.

``client_name`` is the name of the API key or the user behind the change; None if anonymous.
"""

from taskdog.tasks.services.dependencies import add_dependency, remove_dependency
from taskdog.tasks.services.notes import read_notes, write_notes
from taskdog.tasks.services.tags import set_tags
from taskdog.tasks.services.tasks import create_task, delete_task

__all__ = [
    "add_dependency",
    "create_task",
    "delete_task",
    "read_notes",
    "remove_dependency",
    "set_tags",
    "write_notes",
]
