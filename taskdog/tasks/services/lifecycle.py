"""The life of a task: its status and its actual times. See ``rules`` for the map."""

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from taskdog.tasks import rules
from taskdog.tasks.models import Task, TaskStatus
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import audited, record_task

ACTUAL_TIMES = ("actual_start", "actual_end", "actual_duration")  # the duration in hours
STATUS_COLUMNS = ("status", *ACTUAL_TIMES, "updated_at")


# The status -----------------------------------------------------------------------------------


@audited("start_task")
def start_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Begin the work. ``actual_start`` is now, unless it is set.

    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    :raises ArchivedTaskError: if it is archived.
    :raises InvalidStatusError: if it is not pending, or waits for others.
    """
    return _change_status(task_id, TaskStatus.IN_PROGRESS, client_name)


@audited("complete_task")
def complete_task(task_id: int, *, client_name: str | None) -> Task:
    """
    End the work. ``actual_end`` is now, unless it is set. Raises as ``start_task`` does.

    :raises InvalidStatusError: if it is not in progress.
    """
    return _change_status(task_id, TaskStatus.COMPLETED, client_name)


@audited("pause_task")
def pause_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Take the start back: the task is pending, without actual times. Raises as ``start_task`` does.

    :raises InvalidStatusError: if it is finished.
    """
    return _change_status(task_id, TaskStatus.PENDING, client_name)


@audited("cancel_task")
def cancel_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Give up. ``actual_end`` is now, unless it is set. Raises as ``start_task`` does.

    :raises InvalidStatusError: if it is finished.
    """
    return _change_status(task_id, TaskStatus.CANCELED, client_name)


@audited("reopen_task")
def reopen_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Make a finished task pending again, without actual times. Raises as ``start_task`` does.

    :raises InvalidStatusError: if it is not finished.
    """
    task = get_task(task_id)
    rules.check_can_change(task)
    rules.check_can_reopen(task)
    return _store_status(task, TaskStatus.PENDING, "reopen_task", client_name)


def set_status(task: Task, status: TaskStatus) -> None:
    """
    Give a task a status and the actual times that come with it, in memory.

    :raises InvalidStatusError: if it may not take that step.
    """
    rules.check_can_become(task, status)
    _set_status(task, status)


def _change_status(task_id: int, status: TaskStatus, client_name: str | None) -> Task:
    task = get_task(task_id)
    rules.check_can_change(task)
    rules.check_can_become(task, status)
    return _store_status(task, status, f"{rules.VERBS[status]}_task", client_name)


def _store_status(task: Task, status: TaskStatus, operation: str, client_name: str | None) -> Task:
    before = task.status
    _set_status(task, status)
    task.updated_at = timezone.now()
    task.save(update_fields=STATUS_COLUMNS)
    record_task(
        operation,
        task,
        client_name=client_name,
        old_values={"status": before},
        new_values={"status": task.status},
    )
    return task


def _set_status(task: Task, status: TaskStatus) -> None:
    task.status = status
    if status == TaskStatus.PENDING:
        task.actual_start = task.actual_end = task.actual_duration = None
    elif status == TaskStatus.IN_PROGRESS:
        task.actual_start = task.actual_start or timezone.now()
    else:
        task.actual_end = task.actual_end or timezone.now()


# The actual times -----------------------------------------------------------------------------


@audited("fix_actual_times")
def fix_actual_times(
    task_id: int, *, changes: Mapping[str, datetime | float | None], client_name: str | None
) -> Task:
    """
    Correct when the work was done. Past times are what this is for.

    :param changes: by the names in ``ACTUAL_TIMES``; None clears one, what is missing stays.
        Times are local, the duration is in hours.
    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    :raises ArchivedTaskError: if it is archived.
    :raises InvalidTaskError: if it would end before it starts, or last no time.
    """
    task = get_task(task_id)
    rules.check_can_change(task)
    before = _actual_times(task)
    for field in ACTUAL_TIMES:
        if field in changes:
            setattr(task, field, changes[field])
    rules.check_times(task.actual_start, task.actual_end)
    rules.check_above_zero(actual_duration=task.actual_duration)
    task.updated_at = timezone.now()
    task.save(update_fields=(*ACTUAL_TIMES, "updated_at"))
    record_task(
        "fix_actual_times",
        task,
        client_name=client_name,
        old_values=before,
        new_values=_actual_times(task),
    )
    return task


def _actual_times(task: Task) -> dict[str, str | None]:
    """As the audit log shows them: the duration as text too."""
    hours = task.actual_duration
    return {
        "actual_start": task.actual_start.isoformat() if task.actual_start else None,
        "actual_end": task.actual_end.isoformat() if task.actual_end else None,
        "actual_duration": str(hours) if hours is not None else None,
    }
