"""
Change tasks: the front door of the domain, and the only place that writes to it.

Every service is one transaction, which holds the change, its row in the audit log, and the
checks before them: no other writer comes between, see ``taskdog.transactions``. If a service
raises, nothing has changed; a refusal has a separate row in the log.

What is refused and why is in ``taskdog.tasks.rules``. ``client_name`` is the name of the API
key or the user behind the change; None if anonymous.
"""

from taskdog.tasks.services.archive import archive_task, restore_task
from taskdog.tasks.services.bulk import Change, Outcome, change_each
from taskdog.tasks.services.dependencies import add_dependency, remove_dependency
from taskdog.tasks.services.lifecycle import (
    cancel_task,
    complete_task,
    fix_actual_times,
    pause_task,
    reopen_task,
    start_task,
)
from taskdog.tasks.services.notes import delete_notes, read_notes, write_notes
from taskdog.tasks.services.tags import delete_tag, set_tags
from taskdog.tasks.services.tasks import Update, create_task, delete_task, update_task

__all__ = [
    "Change",
    "Outcome",
    "Update",
    "add_dependency",
    "archive_task",
    "cancel_task",
    "change_each",
    "complete_task",
    "create_task",
    "delete_notes",
    "delete_tag",
    "delete_task",
    "fix_actual_times",
    "pause_task",
    "read_notes",
    "remove_dependency",
    "reopen_task",
    "restore_task",
    "set_tags",
    "start_task",
    "update_task",
    "write_notes",
]
