"""Which task waits for which. The graph never has a cycle, or its tasks could never start."""

from collections import defaultdict

from taskdog.tasks import rules
from taskdog.tasks.exceptions import InvalidDependencyError
from taskdog.tasks.models import Task, TaskDependency
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import audited, record_task, touch


@audited("add_dependency")
def add_dependency(task_id: int, *, depends_on_id: int, client_name: str | None) -> Task:
    """
    Make a task wait for another.

    :returns: the task with its details.
    :raises TaskNotFoundError: if either does not exist.
    :raises ArchivedTaskError: if the task is archived; the other may be.
    :raises InvalidDependencyError: if the two are one, it waits already, or a cycle would close.
    """
    task = get_task(task_id)
    get_task(depends_on_id)
    rules.check_can_change(task)
    _check_new(task, depends_on_id)
    _check_acyclic(task_id, depends_on_id)
    TaskDependency.objects.create(task_id=task_id, depends_on_id=depends_on_id)
    touch(task)
    record_task(
        "add_dependency",
        task,
        client_name=client_name,
        new_values={"added_dependency": depends_on_id},
    )
    return get_task(task_id)


@audited("remove_dependency")
def remove_dependency(task_id: int, *, depends_on_id: int, client_name: str | None) -> Task:
    """
    Let a task wait for another no more.

    :returns: the task with its details.
    :raises TaskNotFoundError: if the task does not exist.
    :raises ArchivedTaskError: if it is archived.
    :raises InvalidDependencyError: if it does not wait for the other.
    """
    task = get_task(task_id)
    rules.check_can_change(task)
    if depends_on_id not in task.depends_on_ids:
        raise InvalidDependencyError(f"Task {task_id} does not depend on task {depends_on_id}")
    task.dependencies.filter(depends_on_id=depends_on_id).delete()
    touch(task)
    record_task(
        "remove_dependency",
        task,
        client_name=client_name,
        old_values={"removed_dependency": depends_on_id},
    )
    return get_task(task_id)


def _check_new(task: Task, depends_on_id: int) -> None:
    if task.pk == depends_on_id:
        raise InvalidDependencyError("Task cannot depend on itself")
    if depends_on_id in task.depends_on_ids:
        raise InvalidDependencyError(f"Task {task.pk} already depends on task {depends_on_id}")


def _check_acyclic(task_id: int, depends_on_id: int) -> None:
    path = _find_path(depends_on_id, task_id)
    if path:
        cycle = " → ".join(str(step) for step in (task_id, *path))
        raise InvalidDependencyError(
            f"Circular dependency detected: adding this dependency would create a cycle:\n"
            f"  {cycle}\n"
            f"Task {task_id} cannot depend on task {depends_on_id} because it would create "
            f"a circular chain."
        )


def _find_path(start: int, goal: int) -> list[int]:
    """Follow the dependencies from one task to another; empty if they do not lead there."""
    graph: dict[int, list[int]] = defaultdict(list)
    for task_id, depends_on_id in TaskDependency.objects.values_list("task_id", "depends_on_id"):
        graph[task_id].append(depends_on_id)
    came_from = {start: start}
    waiting = [start]  # a list of our own: a chain may be longer than Python recurses
    while waiting and goal not in came_from:
        current = waiting.pop()
        for following in graph[current]:
            if following not in came_from:
                came_from[following] = current
                waiting.append(following)
    return _walk_back(came_from, start, goal) if goal in came_from else []


def _walk_back(came_from: dict[int, int], start: int, goal: int) -> list[int]:
    path = [goal]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
