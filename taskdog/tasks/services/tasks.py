"""Make tasks, change what they say, and delete them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from taskdog.tasks import rules
from taskdog.tasks.allocations import MAX_DAYS, spread_hours
from taskdog.tasks.details import load_details
from taskdog.tasks.exceptions import InvalidTaskError
from taskdog.tasks.models import DailyAllocation, Task, TaskStatus
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.lifecycle import set_status
from taskdog.tasks.services.tags import attach_tags, replace_tags
from taskdog.tasks.services.trail import audited, record_task

DATES = ("planned_start", "planned_end", "deadline")
PLAN = frozenset({"planned_start", "planned_end", "estimated_duration"})  # allocations follow it


@dataclass(frozen=True, slots=True)
class Update:
    """A task as its update left it, and the names of the fields that were given or followed."""

    task: Task
    updated_fields: list[str]


@audited("create_task")
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
    :raises InvalidTagsError: see ``rules.check_tags``.
    """
    rules.check_name(name)
    rules.check_above_zero(priority=priority, estimated_duration=estimated_duration)
    rules.check_future(planned_start=planned_start, planned_end=planned_end, deadline=deadline)
    rules.check_tags(tags)
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


@audited("update_task")
def update_task(task_id: int, *, changes: Mapping[str, Any], client_name: str | None) -> Update:
    """
    Change what a task says. Its hours are spread again if its plan or its estimate is given.

    The status comes first, since a task that is started by the same update may have past dates.

    :param changes: by the names of the fields, as ``create_task`` takes them, and ``status``.
        Nothing can be cleared but the tags. None at all changes nothing, and is recorded.
    :raises TaskNotFoundError: if there is none with that id.
    :raises ArchivedTaskError: if it is archived.
    :raises InvalidStatusError: if it may not come to that status.
    :raises InvalidTaskError: as ``create_task`` does; dates may be past if it has started.
    :raises InvalidTagsError: see ``rules.check_tags``.
    """
    task = get_task(task_id)
    rules.check_can_change(task)
    before = _shown(task)
    _apply(task, changes)
    updated = [*changes, *_store(task, changes)]
    task = get_task(task_id) if updated else task
    after = _shown(task)
    record_task(
        "update_task",
        task,
        client_name=client_name,
        old_values={field: before[field] for field in updated},
        new_values={field: after[field] for field in updated},
    )
    return Update(task, updated)


@audited("delete_task")
def delete_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Delete a task for good, with its note, tags and allocations.

    Tasks that depended on it do so no more, or they could never start; each of them gets a row
    in the audit log of its own.

    :returns: the task as it was.
    :raises TaskNotFoundError: if there is none with that id.
    """
    task = get_task(task_id)
    load_details([task])
    for dependency in task.dependents.select_related("task"):
        record_task(
            "remove_dependency",
            dependency.task,
            client_name=client_name,
            old_values={"removed_dependency": task_id},
        )
    Task.objects.filter(dependencies__depends_on=task_id).update(updated_at=timezone.now())
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


def _apply(task: Task, changes: Mapping[str, Any]) -> None:
    """Give a task its new values, in memory, if the rules allow them."""
    if "status" in changes:
        set_status(task, TaskStatus(changes["status"]))
    for field in changes.keys() - {"status", "tags"}:
        setattr(task, field, changes[field])
    rules.check_name(task.name)
    rules.check_above_zero(priority=task.priority, estimated_duration=task.estimated_duration)
    if task.actual_start is None:
        rules.check_future(**{field: changes[field] for field in DATES if field in changes})
    rules.check_tags(changes.get("tags", ()))


def _store(task: Task, changes: Mapping[str, Any]) -> list[str]:
    """Write the new values. Names what changed besides: the allocations, or nothing."""
    if not changes:
        return []
    task.updated_at = timezone.now()
    task.save()
    if "tags" in changes:
        replace_tags(task, changes["tags"])
    if PLAN.isdisjoint(changes):
        return []
    before = task.allocated_hours
    allocate_hours(task)
    return ["daily_allocations"] if get_task(task.pk).allocated_hours != before else []


def _shown(task: Task) -> dict[str, Any]:
    """The fields of a task as the audit log shows them."""
    shown = {
        field: getattr(task, field)
        for field in ("name", "priority", "status", "estimated_duration", "is_fixed")
    }
    moments = {field: getattr(task, field) for field in DATES}
    return shown | {
        **{field: moment.isoformat() if moment else None for field, moment in moments.items()},
        "tags": task.tag_names,
        "daily_allocations": task.allocated_hours,
    }
