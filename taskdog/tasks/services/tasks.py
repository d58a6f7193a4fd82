"""Make tasks and delete them."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from taskdog.tasks.allocations import MAX_DAYS, spread_hours
from taskdog.tasks.exceptions import InvalidTaskError
from taskdog.tasks.models import MAX_NAME_LENGTH, DailyAllocation, Task
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.tags import attach_tags, check_tags
from taskdog.tasks.services.trail import record_task


@transaction.atomic
def create_task(
    name: str,
    *,
    client_name: str | None,
    priority: int | None = None,
    planned_start: datetime | None = None,
    planned_end: datetime | None = None,
    deadline: datetime | None = None,
    estimated_duration: float | None = None,
    is_fixed: bool = False,
    tags: Sequence[str] = (),
) -> Task:
    """
    Make a pending task. Planned and estimated, its hours are spread over its working days.

    :param priority: above zero; the higher, the more urgent.
    :param planned_start: local time, as are ``planned_end`` and ``deadline``; not in the past.
    :param estimated_duration: hours, above zero.
    :returns: the task with its details.
    :raises InvalidTaskError: if the name is blank or long, a number is not above zero, a date is
        past, or the plan spans more than ``MAX_DAYS`` days.
    :raises InvalidTagsError: see ``check_tags``.
    """
    _check_name(name)
    _check_above_zero(priority=priority, estimated_duration=estimated_duration)
    _check_future(deadline=deadline, planned_start=planned_start, planned_end=planned_end)
    check_tags(tags)
    now = timezone.now()
    task = Task.objects.create(
        name=name,
        created_at=now,
        updated_at=now,
        priority=priority,
        planned_start=planned_start,
        planned_end=planned_end,
        deadline=deadline,
        estimated_duration=estimated_duration,
        is_fixed=is_fixed,
    )
    attach_tags(task, tags)
    allocate_hours(task)
    record_task(
        "create_task",
        task,
        client_name=client_name,
        new_values={"name": name, "priority": priority, "status": task.status},
    )
    return get_task(task.pk)


@transaction.atomic
def delete_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Delete a task for good, with its note, tags and allocations.

    Tasks that depended on it do so no more, or they could never start; each of them gets a row
    in the audit log of its own.

    :returns: the task as it was.
    :raises TaskNotFoundError: if there is none with that id.
    """
    task = get_task(task_id)
    for dependency in task.dependents.select_related("task"):
        record_task(
            "remove_dependency",
            dependency.task,
            client_name=client_name,
            old_values={"removed_dependency": task_id},
        )
    # By a query: deleting the object would take the id off the task that is returned.
    Task.objects.filter(pk=task_id).delete()
    record_task("delete_task", task, client_name=client_name)
    return task


def allocate_hours(task: Task) -> None:
    """
    Replace the allocations of a task by what its plan gives: none without plan or estimate.

    :raises InvalidTaskError: if the plan spans more than ``MAX_DAYS`` days.
    """
    task.daily_allocations.all().delete()
    if not (task.planned_start and task.planned_end and task.estimated_duration):
        return
    first, last = task.planned_start.date(), task.planned_end.date()
    if (last - first).days >= MAX_DAYS:
        raise InvalidTaskError(f"A task cannot be planned for more than {MAX_DAYS} days")
    shares = spread_hours(task.estimated_duration, first=first, last=last)
    DailyAllocation.objects.bulk_create(
        DailyAllocation(task=task, date=day, hours=hours) for day, hours in shares.items()
    )


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidTaskError("Task name cannot be empty")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidTaskError(f"Task name cannot be longer than {MAX_NAME_LENGTH} characters")


def _check_above_zero(**numbers: float | None) -> None:
    for field, number in numbers.items():
        if number is not None and number <= 0:
            raise InvalidTaskError(f"{field} must be greater than 0")


def _check_future(**moments: datetime | None) -> None:
    """Only work that has begun can lie in the past, and a new task has not."""
    now = timezone.now()
    for field, moment in moments.items():
        if moment is not None and moment < now:
            raise InvalidTaskError(
                f"Cannot set {field} to past date: {moment.isoformat()}. "
                f"Tasks that haven't started must have future dates."
            )
