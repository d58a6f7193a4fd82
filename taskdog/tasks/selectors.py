"""Find tasks. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower

from taskdog.fields import MAX_INTEGER
from taskdog.tasks.exceptions import InvalidFilterError, TaskNotFoundError
from taskdog.tasks.models import Task, TaskQuerySet, TaskStatus, TaskTag

# By sort key: the order, and the order when reversed. What has no value comes last, or first
# when reversed; but by priority it comes first, and the highest priority after it.
ORDERS: Mapping[str, tuple[OrderBy, OrderBy]] = {
    "priority": (F("priority").desc(nulls_first=True), F("priority").asc(nulls_last=True)),
    "name": (Lower("name").asc(), Lower("name").desc()),
} | {
    column: (F(column).asc(nulls_last=True), F(column).desc(nulls_first=True))
    for column in (
        "id",
        "deadline",
        "status",
        "planned_start",
        "estimated_duration",
        "created_at",
        "updated_at",
    )
}


@dataclass(frozen=True, slots=True)
class TaskList:
    """The tasks that were asked for, and how many rows there are in all."""

    tasks: list[Task]
    total_count: int


def get_task(task_id: int) -> Task:
    """
    Find one task with its details, its note included.

    :raises TaskNotFoundError: if there is none with that id, or the id is beyond the store's range.
    """
    if not 0 < task_id <= MAX_INTEGER:
        raise TaskNotFoundError(task_id)
    task = tasks_with_details().select_related("note").filter(pk=task_id).first()
    if task is None:
        raise TaskNotFoundError(task_id)
    return task


def tasks_with_details() -> TaskQuerySet:
    """Start from every task, with all that it shows on the wire."""
    return TaskQuerySet(Task).with_details()


def list_tasks(
    *,
    include_archived: bool = False,
    status: str | None = None,
    tags: Sequence[str] = (),
    sort: str = "id",
    reverse: bool = False,
) -> TaskList:
    """
    List tasks with their details.

    :param status: in either case; None for every status.
    :param tags: a task must have one of them; empty for every task.
    :param sort: a key of ``ORDERS``; ties are in the order of the ids.
    :raises InvalidFilterError: if there is no such status or sort key.
    """
    found = tasks_with_details()
    if not include_archived:
        found = found.filter(is_archived=False)
    if status is not None:
        found = found.filter(status=_known_status(status))
    if tags:
        found = found.filter(
            Exists(TaskTag.objects.filter(task=OuterRef("pk"), tag__name__in=tags))
        )
    ordered = found.order_by(_order(sort, reverse=reverse), "id")
    return TaskList(tasks=list(ordered), total_count=Task.objects.count())


def _known_status(status: str) -> str:
    if status.upper() not in TaskStatus.values:
        raise InvalidFilterError(
            f"Invalid status filter '{status}'. Valid values are: {', '.join(TaskStatus.values)}"
        )
    return status.upper()


def _order(sort: str, *, reverse: bool) -> OrderBy:
    if sort not in ORDERS:
        raise InvalidFilterError(
            f"Invalid sort key '{sort}'. Valid values are: {', '.join(sorted(ORDERS))}"
        )
    return ORDERS[sort][reverse]
