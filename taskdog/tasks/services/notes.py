"""The note of a task."""

from django.utils import timezone

from taskdog.tasks import rules
from taskdog.tasks.models import Note, Task
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import audited, record_task


def read_notes(task_id: int) -> Note:
    """
    Read the note of a task; an empty one, not stored, if it has none. Reads only.

    :raises TaskNotFoundError: if there is no task with that id.
    """
    task = get_task(task_id)
    return Note.objects.filter(task=task).first() or Note(task=task, content="")


@audited("update_notes")
def write_notes(task_id: int, *, content: str, client_name: str | None) -> Note:
    """
    Replace the note of a task. The task itself does not count as changed.

    :param content: any text; it may be empty.
    :raises TaskNotFoundError: if there is no task with that id.
    :raises ArchivedTaskError: if it is archived.
    """
    task, note = _store(task_id, content)
    record_task(
        "update_notes", task, client_name=client_name, new_values={"has_notes": bool(content)}
    )
    return note


@audited("delete_notes")
def delete_notes(task_id: int, *, client_name: str | None) -> None:
    """
    Empty the note of a task; one that had none has an empty one then. Raises as ``write_notes``.

    The row stays, so that the clients can tell what was deleted from what never was.
    """
    task, _ = _store(task_id, "")
    record_task("delete_notes", task, client_name=client_name)


def _store(task_id: int, content: str) -> tuple[Task, Note]:
    task = get_task(task_id)
    rules.check_can_change(task)
    note, _ = Note.objects.update_or_create(
        task=task, defaults={"content": content, "updated_at": timezone.now()}
    )
    return task, note
