"""
Which of their tasks waits for which: a list of ids in each task, without any rule of the store.

Theirs may name tasks that were deleted, and since their ids are reused, even make a circle.
Ours may not, or a task could never start.
"""

from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter

from taskdog.imports.cells import Cells, Changes
from taskdog.imports.source import Source
from taskdog.tasks.models import TaskDependency

Graph = dict[int, dict[int, None]]  # what each task waits for, in order


def dependencies(
    source: Source, changes: Changes, *, task_ids: Collection[int]
) -> Iterator[TaskDependency]:
    """Every dependency that can be kept, of each task in its order; the others are listed."""
    graph: Graph = {}
    for row in source.rows("tasks", ("id", "depends_on"), order="id"):
        cells = Cells(row, f"task {row['id']}", changes)
        graph[cells.number("id")] = dict.fromkeys(_valid(cells, task_ids))
    _break_circles(graph, changes)
    for task_id, others in graph.items():
        for depends_on_id in others:
            yield TaskDependency(task_id=task_id, depends_on_id=depends_on_id)


def _valid(cells: Cells, task_ids: Collection[int]) -> Iterator[int]:
    """Those that name another task which is there."""
    found = cells.document("depends_on") or []
    if not isinstance(found, list):
        cells.say(f"its dependencies {found!r} are dropped: they are not a list")
        return
    for other in found:
        if not isinstance(other, int) or other not in task_ids:
            cells.say(f"its dependency on task {other} is dropped: that task does not exist")
        elif other == cells.number("id"):
            cells.say("its dependency on itself is dropped")
        else:
            yield other


def _break_circles(graph: Graph, changes: Changes) -> None:
    """Take one dependency out of each circle."""
    while circle := _find_circle(graph):
        other, task_id = circle[0], circle[1]  # each is waited for by the one behind it
        del graph[task_id][other]
        changes.append(
            f"task {task_id}: its dependency on task {other} is dropped: it closes a circle"
        )


def _find_circle(graph: Graph) -> list[int]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
