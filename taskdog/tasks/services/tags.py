"""The tags of a task."""

from collections.abc import Sequence

from taskdog.audit import services as audit
from taskdog.tasks import rules
from taskdog.tasks.exceptions import TagNotFoundError
from taskdog.tasks.models import Tag, Task, TaskTag
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import audited, record_task, touch
from taskdog.transactions import is_postgres


@audited("set_tags")
def set_tags(task_id: int, *, tags: Sequence[str], client_name: str | None) -> Task:
    """
    Replace the tags of a task, in the order given; an empty list takes all away.

    Tags that are new are made; those that no task has any more stay.

    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    :raises ArchivedTaskError: if it is archived.
    :raises InvalidTagsError: see ``rules.check_tags``.
    """
    task = get_task(task_id)
    rules.check_can_change(task)
    rules.check_tags(tags)
    replace_tags(task, tags)
    touch(task)
    record_task("set_tags", task, client_name=client_name, new_values={"tags": list(tags)})
    return get_task(task_id)


@audited("delete_tag", resource_type="tag")
def delete_tag(name: str, *, client_name: str | None) -> int:
    """
    Take a tag off every task that has it, archived ones too, and forget it.

    It is the word that goes; the tasks do not count as changed.

    :returns: how many tasks had it.
    :raises TagNotFoundError: if there is no tag of that name, to the letter.
    """
    is_impossible = is_postgres() and "\0" in name  # it can't even be asked for
    tag = None if is_impossible else Tag.objects.filter(name=name).first()
    if tag is None:
        raise TagNotFoundError(name)
    affected = tag.task_links.count()
    tag.delete()
    audit.record(
        operation="delete_tag",
        resource_type="tag",
        resource_id=None,
        resource_name=name,
        client_name=client_name,
        old_values={"affected_task_count": affected},
    )
    return affected


def replace_tags(task: Task, tags: Sequence[str]) -> None:
    """Leave a task with these tags and no others, in their order."""
    task.tag_links.all().delete()
    attach_tags(task, tags)


def attach_tags(task: Task, tags: Sequence[str]) -> None:
    """Put tags on a task that has none, in their order."""
    Tag.objects.bulk_create([Tag(name=name) for name in tags], ignore_conflicts=True)
    known = {tag.name: tag for tag in Tag.objects.filter(name__in=tags)}
    TaskTag.objects.bulk_create(TaskTag(task=task, tag=known[name]) for name in tags)
