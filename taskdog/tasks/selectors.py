"""Find tasks. Reads only, with as many queries for ten thousand tasks as for one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Case, Count, Exists, F, OuterRef, Q, When
from django.db.models.expressions import OrderBy

from taskdog.exceptions import InvalidFilterError
from taskdog.moments import end_of_day, start_of_day
from taskdog.tasks.details import load_details
from taskdog.tasks.exceptions import TaskNotFoundError
from taskdog.tasks.models import (
    Tag,
    Task,
    TaskDependency,
    TaskQuerySet,
    TaskStatus,
    TaskTag,
)

# By sort key: the order, and the order when reversed. What has no value comes last, or first
# when reversed; but by priority it comes first, and the highest priority after it.
ORDERS: Mapping[str, tuple[OrderBy, OrderBy]] = {
    "priority": (F("priority").desc(nulls_first=True), F("priority").asc(nulls_last=True)),
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
BY_NAME = "name"  # whatever its case: SQLite knows the case of ASCII letters only, Python of all
SORT_KEYS = sorted([*ORDERS, BY_NAME])

STREAM_BATCH = 500  # tasks: their ids fit into one query, their notes are not loaded

DATES = ("deadline", "planned_start", "planned_end", "actual_start", "actual_end")

# What to work on next, by the names that the clients know.
RANKING: Mapping[str, OrderBy] = {
    "in_progress_first": Case(When(status=TaskStatus.IN_PROGRESS, then=0), default=1).asc(),
    "deadline_asc": F("deadline").asc(nulls_last=True),
    "priority_desc": F("priority").desc(nulls_last=True),
    "estimate_asc": F("estimated_duration").asc(nulls_last=True),
    "id_asc": F("id").asc(),
}


@dataclass(frozen=True, slots=True)
class TaskList:
    """The tasks that were asked for, and how many rows there are in all."""

    tasks: list[Task]
    total_count: int


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and how many tasks have it."""

    tag: str
    count: int


# One task -------------------------------------------------------------------------------------


def get_task(task_id: int) -> Task:
    """
    Find one task. What hangs on it is asked for when it is looked at.

    :raises TaskNotFoundError: if there is none with that id, be it beyond the store's range.
    """
    try:
        return Task.objects.get(pk=task_id)
    except Task.DoesNotExist as error:
        raise TaskNotFoundError(task_id) from error


# Many tasks -----------------------------------------------------------------------------------


def list_tasks(
    *,
    include_archived: bool = False,
    status: str | None = None,
    tags: Sequence[str] = (),
    start: date | None = None,
    end: date | None = None,
    sort: str = "id",
    reverse: bool = False,
) -> TaskList:
    """
    List tasks with their details.

    :param status: in either case; None or empty for every status.
    :param tags: a task must have one of them; empty for every task.
    :param start: a task must have one of its ``DATES`` on this day or later, and no later than
        ``end``, which is included. Tasks without any date are left out then.
    :param sort: one of ``SORT_KEYS``; ties are in the order of the ids.
    :raises InvalidFilterError: if there is no such status or sort key.
    """
    found = _matching(include_archived, status, tags, start, end)
    return TaskList(tasks=_sorted(found, sort, reverse=reverse), total_count=Task.objects.count())


def stream_tasks(
    *,
    include_archived: bool = False,
    status: str | None = None,
    tags: Sequence[str] = (),
    start: date | None = None,
    end: date | None = None,
) -> Iterator[Task]:
    """
    Find what ``list_tasks`` lists, by id, and hold no more than ``STREAM_BATCH`` tasks at a time.

    Each batch is a separate query, so see ``transactions.one_moment``.
    """
    found = _matching(include_archived, status, tags, start, end).order_by("id")
    after = 0
    while batch := list(found.filter(pk__gt=after)[:STREAM_BATCH]):
        load_details(batch)
        yield from batch
        after = batch[-1].pk


def list_by_ids(task_ids: Sequence[int]) -> TaskList:
    """
    List the tasks with these ids, in the order given; one given twice comes twice.

    What does not exist is left out, and both counts are of what was found.
    """
    found = _load(all_tasks().filter(pk__in=task_ids))
    known = {task.pk: task for task in found}
    tasks = [known[task_id] for task_id in task_ids if task_id in known]
    return TaskList(tasks=tasks, total_count=len(tasks))


def list_executable(*, tags: Sequence[str] = (), limit: int = 10) -> list[Task]:
    """
    List what can be worked on now, the most urgent first by ``RANKING``.

    That is what is neither archived nor finished, and waits for nothing but completed tasks.

    :param tags: a task must have one of them; empty for every task.
    :param limit: how many tasks at most.
    """
    unmet = TaskDependency.objects.filter(task=OuterRef("pk")).exclude(
        depends_on__status=TaskStatus.COMPLETED
    )
    executable = all_tasks().filter(
        ~Exists(unmet),
        is_archived=False,
        status__in=(TaskStatus.PENDING, TaskStatus.IN_PROGRESS),
    )
    return _load(_tagged(executable, tags).order_by(*RANKING.values())[:limit])


def all_tasks() -> TaskQuerySet:
    """Start from every task, knowing of each whether it has a note."""
    return TaskQuerySet(Task).with_notes()


# Tags -----------------------------------------------------------------------------------------


def count_tags() -> list[TagCount]:
    """Count the tasks of each tag, by name, archived ones too. Unused tags are left out."""
    counted = Tag.objects.annotate(count=Count("task_links")).filter(count__gt=0)
    # By Python, since databases differ in the order of text.
    return [TagCount(*row) for row in sorted(counted.values_list("name", "count"))]


# The steps ------------------------------------------------------------------------------------


def _matching(
    include_archived: bool,
    status: str | None,
    tags: Sequence[str],
    start: date | None,
    end: date | None,
) -> TaskQuerySet:
    found = all_tasks()
    if not include_archived:
        found = found.filter(is_archived=False)
    if status:
        found = found.filter(status=_known_status(status))
    return _dated(_tagged(found, tags), start, end)


def _known_status(status: str) -> str:
    if status.upper() not in TaskStatus.values:
        raise InvalidFilterError(
            f"Invalid status filter '{status}'. Valid values are: {', '.join(TaskStatus.values)}"
        )
    return status.upper()


def _tagged(found: TaskQuerySet, tags: Sequence[str]) -> TaskQuerySet:
    if not tags:
        return found
    return found.filter(Exists(TaskTag.objects.filter(task=OuterRef("pk"), tag__name__in=tags)))


def _dated(found: TaskQuerySet, start: date | None, end: date | None) -> TaskQuerySet:
    bounds = {}
    if start is not None:
        bounds["gte"] = start_of_day(start)
    if end is not None:
        bounds["lte"] = end_of_day(end)
    within = Q()
    for column in DATES if bounds else ():
        within |= Q(**{f"{column}__{side}": bound for side, bound in bounds.items()})
    return found.filter(within)


def _sorted(found: TaskQuerySet, sort: str, *, reverse: bool) -> list[Task]:
    if sort == BY_NAME:
        return sorted(
            _load(found.order_by("id")), key=lambda task: task.name.lower(), reverse=reverse
        )
    if sort not in ORDERS:
        raise InvalidFilterError(
            f"Invalid sort key '{sort}'. Valid values are: {', '.join(SORT_KEYS)}"
        )
    return _load(found.order_by(ORDERS[sort][reverse], "id"))


def _load(found: TaskQuerySet) -> list[Task]:
    tasks = list(found)
    load_details(tasks, among=found)
    return tasks
