"""
What every change of a task leaves behind: a row in the audit log, and the time of the change.

A change and its row are one transaction. A refusal has a separate row as well: what was
begun is taken back, and the row must stay.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import DatabaseError
from django.utils import timezone

from taskdog.audit import services as audit
from taskdog.exceptions import TaskdogError
from taskdog.fields import MAX_INTEGER
from taskdog.tasks.models import Task
from taskdog.transactions import writing

Subject = TypeVar("Subject", int, str)
Options = ParamSpec("Options")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def audited(
    operation: str, *, resource_type: str = "task"
) -> Callable[
    [Callable[Concatenate[Subject, Options], Result]],
    Callable[Concatenate[Subject, Options], Result],
]:
    """
    Make a service one transaction, and leave a row with ``success=false`` if it refuses.

    The service takes what it works on first, the id of a task or a name, and ``client_name``
    as a keyword. Its row about a success it adds itself, in the transaction. Only refusals
    (``TaskdogError``) are recorded: after a fault of the disk another write helps nobody.
    """

    def decorate(
        service: Callable[Concatenate[Subject, Options], Result],
    ) -> Callable[Concatenate[Subject, Options], Result]:
        @functools.wraps(service)
        def run(subject: Subject, /, *args: Options.args, **options: Options.kwargs) -> Result:
            try:
                with writing():
                    return service(subject, *args, **options)
            except TaskdogError as error:
                _record_refusal(
                    operation,
                    subject,
                    resource_type=resource_type,
                    client_name=options.get("client_name"),
                    reason=str(error),
                )
                raise

        return run

    return decorate


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


def _record_refusal(
    operation: str, subject: int | str, *, resource_type: str, client_name: Any, reason: str
) -> None:
    """Add the row; a log that cannot be written must not hide why the change was refused."""
    try:
        audit.record(
            operation=operation,
            resource_type=resource_type,
            resource_id=_known_id(subject),
            resource_name=_name(subject),
            client_name=client_name,
            success=False,
            error_message=_storable(reason),
        )
    except DatabaseError as error:
        logger.warning("the audit log lacks a refused %s: %s", operation, error)


def _storable(text: str) -> str:
    """What a stranger has sent, without the character that PostgreSQL stores in no text."""
    return text.replace("\0", "\ufffd")


def _known_id(subject: int | str) -> int | None:
    """The id, if there can be a task with it: the store holds no larger numbers."""
    return subject if isinstance(subject, int) and 0 < subject <= MAX_INTEGER else None


def _name(subject: int | str) -> str | None:
    if isinstance(subject, str):
        return _storable(subject)[: audit.MAX_RESOURCE_NAME_LENGTH]
    return Task.objects.filter(pk=_known_id(subject) or 0).values_list("name", flat=True).first()
