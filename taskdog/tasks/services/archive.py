"""Put tasks away, and bring them back."""

from django.utils import timezone

from taskdog.tasks import rules
from taskdog.tasks.models import Task
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import audited, record_task


@audited("archive_task")
def archive_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Put a task away, whatever its status. Its allocations are deleted: its days are free.

    Archived once more, it stays as it is, and the audit log says so.

    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    """
    task = get_task(task_id)
    task.daily_allocations.all().delete()
    task.allocated_hours = {}
    return _store_archived(task, is_archived=True, client_name=client_name)


@audited("restore_task")
def restore_task(task_id: int, *, client_name: str | None) -> Task:
    """
    Bring a task back from the archive, with its status. Its allocations do not come back.

    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    :raises InvalidStatusError: if it is not archived.
    """
    task = get_task(task_id)
    rules.check_can_restore(task)
    return _store_archived(task, is_archived=False, client_name=client_name)


def _store_archived(task: Task, *, is_archived: bool, client_name: str | None) -> Task:
    before = {"is_archived": task.is_archived}
    if task.is_archived != is_archived:
        task.is_archived = is_archived
        task.updated_at = timezone.now()
        task.save(update_fields=("is_archived", "updated_at"))
    record_task(
        "archive_task" if is_archived else "restore_task",
        task,
        client_name=client_name,
        old_values=before,
        new_values={"is_archived": is_archived},
    )
    return task
