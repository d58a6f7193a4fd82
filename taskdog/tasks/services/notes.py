"""The note of a task."""

from django.db import transaction
from django.utils import timezone

from taskdog.tasks.models import Note
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import record_task


def read_notes(task_id: int) -> Note:
    """
    Read the note of a task; an empty one, not stored, if it has none. Reads only.

    :raises TaskNotFoundError: if there is no task with that id.
    """
    task = get_task(task_id)
    return Note.objects.filter(task=task).first() or Note(task=task, content="")


@transaction.atomic
def write_notes(task_id: int, *, content: str, client_name: str | None) -> Note:
    """
    Replace the note of a task. The task itself does not count as changed.

    :param content: any text; it may be empty.
    :raises TaskNotFoundError: if there is no task with that id.
    """
    task = get_task(task_id)
    note, _ = Note.objects.update_or_create(
        task=task, defaults={"content": content, "updated_at": timezone.now()}
    )
    record_task(
        "update_notes", task, client_name=client_name, new_values={"has_notes": bool(content)}
    )
    return note
