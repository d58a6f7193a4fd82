"""What every change of a task leaves behind."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from taskdog.audit import services as audit
from taskdog.tasks.models import Task


def record_task(
    operation: str,
    task: Task,
    *,
    client_name: str | None,
    old_values: Mapping[str, Any] | None = None,
    new_values: Mapping[str, Any] | None = None,
) -> None:
    """Add the change of a task to the audit log, in the transaction of the change."""
    audit.record(
        operation=operation,
        resource_type="task",
        resource_id=task.pk,
        resource_name=task.name,
        client_name=client_name,
        old_values=old_values,
        new_values=new_values,
    )


def touch(task: Task) -> None:
    """Note that the task changed now, when what changed is in another table."""
    Task.objects.filter(pk=task.pk).update(updated_at=timezone.now())
