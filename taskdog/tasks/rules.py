"""
The rules of the task domain, each with its reason. They read and refuse; nothing here writes.

A task lives like this; every arrow is a service:

    PENDING ──start──→ IN_PROGRESS ──complete──→ COMPLETED ──reopen──→ PENDING
       │ ↑──pause──────────┘ │
       └───────cancel────────┴──→ CANCELED ──reopen──→ PENDING

Besides, a task is archived or not, whatever its status. An archived one is a record: until it
is restored it can be looked at and deleted, and not changed.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from taskdog.tasks.exceptions import (
    ArchivedTaskError,
    InvalidStatusError,
    InvalidTagsError,
    InvalidTaskError,
)
from taskdog.tasks.models import MAX_NAME_LENGTH, MAX_TAG_LENGTH, Task, TaskStatus

MAX_TAGS = 20  # of one task

# What the clients call the way to a status.
VERBS = {
    TaskStatus.IN_PROGRESS: "start",
    TaskStatus.COMPLETED: "complete",
    TaskStatus.CANCELED: "cancel",
    TaskStatus.PENDING: "pause",
}


# What a task may say --------------------------------------------------------------------------


def check_name(name: str) -> None:
    """A list shows tasks by name. :raises InvalidTaskError: if it is blank or too long."""
    if not name.strip():
        raise InvalidTaskError("Task name cannot be empty")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidTaskError(f"Task name cannot be longer than {MAX_NAME_LENGTH} characters")


def check_above_zero(**numbers: float | None) -> None:
    """
    No work takes no time, and "no priority" is null. :raises InvalidTaskError: if one is not.

    :param numbers: by the name of their field; null is not given.
    """
    for field, number in numbers.items():
        if number is not None and number <= 0:
            raise InvalidTaskError(f"{field} must be greater than 0")


def check_future(**moments: datetime | None) -> None:
    """
    What has not begun can't be planned for the past. Only for a task without an actual start.

    :param moments: local times by the name of their field; null is not given.
    :raises InvalidTaskError: if one is past.
    """
    now = timezone.now()
    for field, moment in moments.items():
        if moment is not None and moment < now:
            raise InvalidTaskError(
                f"Cannot set {field} to past date: {moment.isoformat()}. "
                f"Tasks that haven't started must have future dates."
            )


def check_times(start: datetime | None, end: datetime | None) -> None:
    """Time does not run backwards. :raises InvalidTaskError: if the end is before the start."""
    if start is not None and end is not None and end < start:
        raise InvalidTaskError(f"actual_end ({end}) must be >= actual_start ({start})")


def check_tags(tags: Sequence[str]) -> None:
    """
    Check what a task may be tagged with. Case and the space around a word tell tags apart.

    :raises InvalidTagsError: if there are too many, or one is blank, long or given twice.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidTagsError(f"Cannot have more than {MAX_TAGS} tags per task")
    for tag in tags:
        if not tag.strip():
            raise InvalidTagsError("Tags must be non-empty")
        if len(tag) > MAX_TAG_LENGTH:
            raise InvalidTagsError(f"Tag cannot exceed {MAX_TAG_LENGTH} characters")
    if len(set(tags)) < len(tags):
        raise InvalidTagsError("Tags must be unique")


# What may happen to it ------------------------------------------------------------------------


def check_can_change(task: Task) -> None:
    """
    An archived task is a record of what was. :raises ArchivedTaskError: if it is archived.

    It may be archived again, restored and deleted.
    """
    if task.is_archived:
        raise ArchivedTaskError(task.pk)


def check_can_become(task: Task, status: TaskStatus) -> None:
    """
    Check the step to a status, except for reopening.

    What is finished stays so, unless it is reopened. What waits for others can't start, and
    what was not started can't be completed: its hours would be missing from the record. A
    pending task may be paused, which clears its actual times.

    :raises InvalidStatusError: if the task may not take this step.
    """
    verb = VERBS[status]
    if task.is_finished or task.status == status == TaskStatus.IN_PROGRESS:
        raise InvalidStatusError(f"Cannot {verb} task {task.pk}: task is already {task.status}")
    if status == TaskStatus.IN_PROGRESS:
        _check_dependencies_met(task)
    if status == TaskStatus.COMPLETED and task.status == TaskStatus.PENDING:
        raise InvalidStatusError(
            f"Cannot complete task {task.pk}: task is PENDING. "
            f"Start the task first with 'taskdog start {task.pk}'"
        )


def check_can_reopen(task: Task) -> None:
    """
    Only what is finished can be opened again. What it depends on is looked at when it starts.

    :raises InvalidStatusError: if the task is not finished.
    """
    if not task.is_finished:
        raise InvalidStatusError(
            f"Cannot reopen task with status {task.status}. "
            f"Only COMPLETED or CANCELED tasks can be reopened. "
            f"Use 'restore' command for archived tasks."
        )


def check_can_restore(task: Task) -> None:
    """Only an archived task can come back. :raises InvalidStatusError: if it is not archived."""
    if not task.is_archived:
        raise InvalidStatusError(
            f"Cannot restore task with ID {task.pk}. Only archived tasks can be restored."
        )


def _check_dependencies_met(task: Task) -> None:
    unmet = _unmet_dependencies(task)
    if unmet:
        listed = ", ".join(str(task_id) for task_id in unmet)
        raise InvalidStatusError(
            f"Cannot start task {task.pk}: dependencies not met. Complete task(s) {listed} first."
        )


def _unmet_dependencies(task: Task) -> list[int]:
    unmet = task.dependencies.exclude(depends_on__status=TaskStatus.COMPLETED)
    return list(unmet.values_list("depends_on_id", flat=True))
