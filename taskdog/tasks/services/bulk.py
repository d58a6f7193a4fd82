"""One change for many tasks: each succeeds or is refused on its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taskdog.exceptions import TaskdogError
from taskdog.tasks.details import load_details
from taskdog.tasks.models import Task

Change = Callable[..., Task]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one task: the task as the change left it, or why it was refused."""

    task_id: int
    task: Task | None
    error: str | None

    @property
    def success(self) -> bool:
        """The change was made."""
        return self.error is None


def change_each(
    change: Change, task_ids: Iterable[int], *, client_name: str | None
) -> list[Outcome]:
    """
    Make the same change to each task, in the order given; an id given twice is changed twice.

    Each change is a separate transaction, so other writers come in between, and what was
    changed stays changed if a later task is refused.

    :param change: a service that takes an id and ``client_name``.
    """
    outcomes = [_change(change, task_id, client_name) for task_id in task_ids]
    load_details(outcome.task for outcome in outcomes if outcome.task)
    return outcomes


def _change(change: Change, task_id: int, client_name: str | None) -> Outcome:
    try:
        task = change(task_id, client_name=client_name)
    except TaskdogError as error:
        return Outcome(task_id, task=None, error=str(error))
    return Outcome(task_id, task=task, error=None)
