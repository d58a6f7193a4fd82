"""What hangs on tasks, for many at once. Reads only."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from taskdog.tasks.models import DailyAllocation, Task, TaskDependency, TaskTag

Ids = QuerySet[Any, Any] | list[int]


def load_details(tasks: Iterable[Task], among: "QuerySet[Task] | None" = None) -> None:
    """
    Set the tags, dependencies and allocations of tasks, in three queries however many.

    :param among: a query that finds these tasks, for when they are too many for a list of ids.
    """
    tasks = list(tasks)
    ids: Ids = among.values("pk") if among is not None else [task.pk for task in tasks]
    tags, others, days = _tags_of(ids), _dependencies_of(ids), _allocations_of(ids)
    for task in tasks:
        task.tag_names = tags.get(task.pk, [])
        task.depends_on_ids = others.get(task.pk, [])
        task.allocated_hours = days.get(task.pk, {})


def _tags_of(ids: Ids) -> dict[int, list[str]]:
    names: dict[int, list[str]] = defaultdict(list)
    links = TaskTag.objects.filter(task__in=ids).values_list("task_id", "tag__name")
    for task_id, name in links:
        names[task_id].append(name)
    return names


def _dependencies_of(ids: Ids) -> dict[int, list[int]]:
    others: dict[int, list[int]] = defaultdict(list)
    links = TaskDependency.objects.filter(task__in=ids).values_list("task_id", "depends_on_id")
    for task_id, depends_on_id in links:
        others[task_id].append(depends_on_id)
    return others


def _allocations_of(ids: Ids) -> dict[int, dict[str, float]]:
    hours: dict[int, dict[str, float]] = defaultdict(dict)
    rows = DailyAllocation.objects.filter(task__in=ids).values_list("task_id", "date", "hours")
    for task_id, day, share in rows:
        hours[task_id][day.isoformat()] = share
    return hours
