"""The tags of a task."""

from collections.abc import Sequence

from django.db import transaction

from taskdog.tasks.exceptions import InvalidTagsError
from taskdog.tasks.models import MAX_TAG_LENGTH, Tag, Task, TaskTag
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services.trail import record_task, touch

MAX_TAGS = 20  # of one task


@transaction.atomic
def set_tags(task_id: int, *, tags: Sequence[str], client_name: str | None) -> Task:
    """
    Replace the tags of a task, in the order given; an empty list takes all away.

    Tags that are new are made; those that no task has any more stay.

    :returns: the task with its details.
    :raises TaskNotFoundError: if there is none with that id.
    :raises InvalidTagsError: see ``check_tags``.
    """
    task = get_task(task_id)
    check_tags(tags)
    task.tag_links.all().delete()
    attach_tags(task, tags)
    touch(task)
    record_task("set_tags", task, client_name=client_name, new_values={"tags": list(tags)})
    return get_task(task_id)


def check_tags(tags: Sequence[str]) -> None:
    """
    Check what a task may be tagged with. Case and the space around a word tell tags apart.

    :raises InvalidTagsError: if there are too many, or one is blank, long or given twice.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidTagsError(f"A task cannot have more than {MAX_TAGS} tags")
    for tag in tags:
        if not tag.strip():
            raise InvalidTagsError("Tag name cannot be empty")
        if len(tag) > MAX_TAG_LENGTH:
            raise InvalidTagsError(f"Tag name cannot be longer than {MAX_TAG_LENGTH} characters")
    if len(set(tags)) < len(tags):
        raise InvalidTagsError("Tags must be unique")


def attach_tags(task: Task, tags: Sequence[str]) -> None:
    """Put tags on a task that has none, in their order."""
    Tag.objects.bulk_create([Tag(name=name) for name in tags], ignore_conflicts=True)
    known = {tag.name: tag for tag in Tag.objects.filter(name__in=tags)}
    TaskTag.objects.bulk_create(TaskTag(task=task, tag=known[name]) for name in tags)
